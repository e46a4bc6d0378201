"""A cs-server of its own for each class of tests."""

import os
import re
import signal
import subprocess
import tempfile
import unittest

import pymongo

PROGRAM = os.environ.get("CS_SERVER", "target/debug/cs-server")


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
