"""A cs-server of its own for each class of tests."""

import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import unittest

import bson
import pymongo
from pymongo.errors import OperationFailure

# Taken out, for the server has settings of its own in variables that begin so.
PROGRAM = os.environ.pop("CS_SERVER", "target/debug/cs-server")


class Server:
    """A running server; its data lasts as long as the object."""

    def __init__(self, *arguments):
        self.folder = tempfile.TemporaryDirectory(prefix="cs-pymongo-")
        self.arguments = arguments
        self.start()

    def start(self, port=0):
        command = [PROGRAM, "--dev", "--port", str(port)]
        command += ["--data-dir", os.path.join(self.folder.name, "data"), *self.arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"listening on \S*?:(\d+)", line)
        assert found, f"the server said {line!r}"
        self.port = int(found.group(1))

    def client(self, **options):
        return pymongo.MongoClient(
            "127.0.0.1", self.port, serverSelectionTimeoutMS=10_000, **options
        )

    def restart(self, how=signal.SIGKILL):
        self.stop(how)
        self.start(self.port)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(30)
        self.process.stdout.close()

    def close(self):
        self.stop()
        self.folder.cleanup()


class Raw:
    """A connection without a driver: what is sent is what was said."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)

    def command(self, database, command):
        body = b"\0" * 4 + b"\0" + bson.encode({**command, "$db": database})
        self.socket.sendall(struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body)
        length = struct.unpack("<i", self.read(4))[0]
        reply = bson.decode(self.read(length - 4)[12 + 5 :])
        if reply["ok"] != 1:
            raise OperationFailure(reply["errmsg"], reply["code"], reply)
        return reply

    def read(self, length):
        read = b""
        while len(read) < length:
            more = self.socket.recv(length - len(read))
            if not more:
                raise ConnectionError("the server closed the connection")
            read += more
        return read

    def close(self):
        self.socket.close()


class ServerTest(unittest.TestCase):
    """Tests that share a server and have a database each."""

    arguments = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Server(*cls.arguments)
        cls.client = cls.server.client()

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.close()

    def setUp(self):
        self.db = self.client[self.id().rsplit(".", 1)[-1][:60]]

    def raw(self, command, database=None):
        """Sends a command as it is, over a connection of its own."""
        connection = Raw(self.server)
        try:
            return connection.command(database or self.db.name, command)
        finally:
            connection.close()
