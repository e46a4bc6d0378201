"""Users, roles, TLS, figures and a graceful stop, as pymongo sees them."""

import json
import os
import signal
import subprocess
import tempfile
import unittest
import urllib.request

import pymongo
from pymongo.errors import AutoReconnect, ConnectionFailure, OperationFailure
from server import PROGRAM, Server


def certificates(folder):
    """An authority, and a certificate of its for localhost: paths of CA, certificate, key."""
    path = lambda name: os.path.join(folder, name)
    openssl = lambda *arguments: subprocess.run(
        ["openssl", *arguments], check=True, capture_output=True, cwd=folder
    )
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost")
    with open(path("names"), "w") as names:
        names.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "names")
    return path("ca.pem"), path("server.pem"), path("server.key")


class Users(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server("--security-authentication")
        with cls.server.client() as first:
            first.admin.command("createUser", "root", pwd="p\u00e4ss\u2168", roles=["root"])

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def client(self, name="root", password="p\u00e4ss\u2168", **options):
        return self.server.client(username=name, password=password, **options)

    def test_a_user_comes_in_by_scram(self):
        with self.client() as client:
            client.shop.orders.insert_one({"_id": "scram"})
            self.assertEqual(client.shop.orders.count_documents({"_id": "scram"}), 1)
            users = client.admin.command("connectionStatus")["authInfo"]["authenticatedUsers"]
            self.assertEqual(users, [{"user": "root", "db": "admin"}])
        with self.client(password="P\u00e4ssIX") as client:
            self.assertRaises(OperationFailure, client.shop.orders.find_one)
        with self.client(password="p\u00e4ssIX", authMechanism="SCRAM-SHA-256") as client:
            self.assertIsNotNone(client.shop.orders.find_one({"_id": "scram"}))  # SASLprep

    def test_nobody_comes_in_without_the_password(self):
        with self.server.client() as client:
            with self.assertRaises(OperationFailure) as raised:
                client.shop.orders.find_one()
            self.assertEqual(raised.exception.code, 13)
        for name, password in [("root", "wrong"), ("nobody", "wrong")]:
            with self.client(name, password) as client:
                with self.assertRaises(OperationFailure) as raised:
                    client.shop.orders.find_one()
                self.assertEqual(raised.exception.code, 18)

    def test_roles_say_what_may_be_done_where(self):
        with self.client() as root:
            root.shop.command("createUser", "reader", pwd="read", roles=["read"])
            root.shop.command(
                "createUser", "writer", pwd="write", roles=[{"role": "readWrite", "db": "shop"}]
            )
            with self.client("writer", "write", authSource="shop") as writer:
                writer.shop.goods.insert_one({"_id": 1})
                writer.shop.goods.create_index("x")
                self.assertRaises(OperationFailure, writer.other.goods.find_one)
                self.assertRaises(OperationFailure, writer.drop_database, "shop")
            with self.client("reader", "read", authSource="shop") as reader:
                self.assertEqual(reader.shop.goods.find_one(), {"_id": 1})
                self.assertRaises(OperationFailure, reader.shop.goods.insert_one, {})
                self.assertRaises(
                    OperationFailure, reader.shop.goods.aggregate, [{"$out": "copy"}]
                )
                self.assertEqual(reader.list_database_names(), ["shop"])
                root.shop.command("grantRolesToUser", "reader", roles=["readWrite"])
                reader.shop.goods.insert_one({"_id": 2})  # at once, on an open connection

    def test_users_last(self):
        with self.client() as root:
            root.shop.command("createUser", "lasting", pwd="x", roles=["read"])
        self.server.restart(signal.SIGKILL)
        with self.client("lasting", "x", authSource="shop") as client:
            client.shop.goods.find_one()


class Encrypted(unittest.TestCase):
    def test_a_client_talks_over_tls_and_only_so(self):
        with tempfile.TemporaryDirectory() as folder:
            authority, certificate, key = certificates(folder)
            server = Server("--tls-certificate", certificate, "--tls-key", key)
            try:
                with server.client(tls=True, tlsCAFile=authority) as client:
                    client.shop.orders.insert_one({"_id": 1})
                    self.assertEqual(client.shop.orders.count_documents({}), 1)
                for options in [{}, {"tls": True}]:
                    options["serverSelectionTimeoutMS"] = 500
                    with pymongo.MongoClient("127.0.0.1", server.port, **options) as client:
                        self.assertRaises(ConnectionFailure, client.admin.command, "ping")
                server.process.send_signal(signal.SIGHUP)
                with server.client(tls=True, tlsCAFile=authority) as client:
                    client.admin.command("ping")
            finally:
                server.close()


class Figures(unittest.TestCase):
    def test_health_and_figures_have_a_listener_of_their_own(self):
        server = Server("--http-port", "0")
        try:
            line = server.process.stdout.readline()
            address = line.split()[-1]
            read = lambda path: urllib.request.urlopen(address + path).read().decode()
            with server.client() as client:
                client.shop.orders.insert_many([{} for _ in range(3)])
                self.assertEqual(read("livez") + read("readyz"), "ok\nok\n")
                self.assertIn("\ncs_documents_inserted_total 3\n", read("metrics"))
                self.assertTrue(json.loads(read("status"))["ready"])
                self.assertEqual(client.shop.command("collStats", "orders")["count"], 3)
                self.assertEqual(client.shop.command("dbStats")["objects"], 3)
                self.assertGreater(client.admin.command("serverStatus")["uptime"], 0)
        finally:
            server.close()


class Stopping(unittest.TestCase):
    def test_a_stop_is_graceful_and_a_wrong_configuration_is_told(self):
        server = Server()
        client = server.client(retryWrites=False)
        client.shop.orders.insert_one({"_id": 1})
        server.stop(signal.SIGTERM)
        self.assertEqual(server.process.returncode, 0)
        with self.assertRaises((AutoReconnect, ConnectionFailure)):
            client.shop.orders.insert_one({"_id": 2})
        server.start(server.port)
        self.assertEqual(client.shop.orders.count_documents({}), 1)
        client.close()
        server.close()
        for arguments, told in [
            (["--bind", "0.0.0.0"], "tls.certificate"),
            (["--prot", "1"], "--port"),
            (["--security-scram-iterations", "1"], "15000"),
        ]:
            done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn(told, done.stderr)


if __name__ == "__main__":
    unittest.main()
