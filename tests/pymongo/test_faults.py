"""Faults on demand, and a server that is killed under load."""

import random
import threading
import unittest

import bson
from pymongo import InsertOne, UpdateOne
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from server import Server, ServerTest


class FailPoints(ServerTest):
    arguments = ("--test-commands",)

    def fail(self, mode, *commands, **data):
        self.client.admin.command(
            "configureFailPoint", "failCommand", mode=mode, data={"failCommands": commands, **data}
        )

    def tearDown(self):
        self.client.admin.command("configureFailPoint", "failCommand", mode="off")

    def test_a_write_whose_connection_breaks_is_sent_again_by_the_driver(self):
        for data in [{"closeConnection": True}, {"errorCode": 91}, {"errorCode": 11602}]:
            self.fail({"times": 1}, "insert", **data)
            self.db.c.insert_one({})
        self.assertEqual(self.db.c.count_documents({}), 3)
        self.fail({"times": 1}, "find", closeConnection=True)
        self.assertIsNotNone(self.db.c.find_one())

    def test_a_write_that_happened_unheard_of_is_not_done_again(self):
        point = ("configureFailPoint", "onPrimaryTransactionalWrite")
        for data in [{}, {"failBeforeCommitExceptionCode": 1}]:
            self.client.admin.command(*point, mode={"times": 1}, data=data)
            self.db.c.update_one({"_id": 1}, {"$inc": {"n": 1}}, upsert=True)
        self.assertEqual(self.db.c.find_one(), {"_id": 1, "n": 2})

    def test_errors_have_the_labels_that_they_should(self):
        self.fail("alwaysOn", "insert", "update", errorCode=11600)
        with self.assertRaises(PyMongoError) as raised:
            self.db.c.insert_one({})
        self.assertTrue(raised.exception.has_error_label("RetryableWriteError"))
        self.fail("alwaysOn", "insert", errorCode=11600, errorLabels=[])
        with self.assertRaises(PyMongoError) as raised:
            self.db.c.insert_one({})
        self.assertFalse(raised.exception.has_error_label("RetryableWriteError"))
        self.fail("alwaysOn", "insert", errorCode=112)
        with self.client.start_session() as session:
            session.start_transaction()
            with self.assertRaises(OperationFailure) as raised:
                self.db.c.insert_one({}, session=session)
            self.assertTrue(raised.exception.has_error_label("TransientTransactionError"))
            session.abort_transaction()

    def test_a_commit_that_cannot_be_heard_of_is_asked_for_again(self):
        for data in [{"closeConnection": True}, {"errorCode": 91}]:
            with self.client.start_session() as session:
                session.start_transaction()
                self.db.c.insert_one({}, session=session)
                self.fail({"times": 1}, "commitTransaction", **data)
                session.commit_transaction()
        self.assertEqual(self.db.c.count_documents({}), 2)

    def test_a_write_concern_error_comes_beside_what_was_written(self):
        self.fail({"times": 1}, "insert", writeConcernError={"code": 100, "errmsg": "no"})
        reply = self.db.command("insert", "c", documents=[{"_id": 1}])
        self.assertEqual((reply["n"], reply["writeConcernError"]["code"]), (1, 100))

    def test_only_the_application_that_is_named_is_hit(self):
        self.fail("alwaysOn", "find", errorCode=2, appName="victim")
        self.db.c.find_one()
        with self.server.client(appname="victim") as victim:
            with self.assertRaises(OperationFailure):
                victim[self.db.name].c.find_one()

    def test_a_stream_goes_on_where_it_was(self):
        self.db.c.insert_one({"_id": 0})
        with self.db.c.watch() as stream:
            self.fail({"times": 1}, "getMore", errorCode=91, errorLabels=["ResumableChangeStreamError"])
            self.db.c.insert_one({"_id": 1})
            self.assertEqual(stream.next()["documentKey"], {"_id": 1})


class NoFailPoints(ServerTest):
    def test_without_test_commands_there_are_none(self):
        with self.assertRaises(OperationFailure) as raised:
            self.client.admin.command("configureFailPoint", "failCommand", mode="off")
        self.assertEqual(raised.exception.code, 59)


class Killed(unittest.TestCase):
    """The server is killed again and again while clients write, each write once."""

    KILLS = 5
    CLIENTS = 4

    def test_nothing_acknowledged_is_lost_and_nothing_happens_twice(self):
        server = Server()
        self.addCleanup(server.close)
        done = threading.Event()
        acknowledged, unclear = [0] * self.CLIENTS, [0] * self.CLIENTS
        inserted, maybe = [set() for _ in acknowledged], [set() for _ in acknowledged]
        bulks, unclear_bulks = [0] * self.CLIENTS, [0] * self.CLIENTS

        def write(me):
            client = server.client(retryWrites=True)
            db = client.load
            number = 0
            while not done.is_set():
                number += 1
                try:
                    db.counters.update_one({"_id": me}, {"$inc": {"n": 1}}, upsert=True)
                    acknowledged[me] += 1
                except AutoReconnect:
                    # Sent twice, and not heard of: it may have happened, once.
                    unclear[me] += 1
                batch = [f"{me}-{number}-{n}" for n in range(5)]
                maybe[me].update(batch)
                try:
                    writes = [InsertOne({"_id": name}) for name in batch]
                    writes.append(UpdateOne({"_id": f"bulk{me}"}, {"$inc": {"n": 1}}, upsert=True))
                    db.documents.bulk_write(writes)
                    inserted[me].update(batch)
                    bulks[me] += 1
                except AutoReconnect:
                    unclear_bulks[me] += 1
            client.close()

        threads = [threading.Thread(target=write, args=(me,)) for me in range(self.CLIENTS)]
        for thread in threads:
            thread.start()
        for _ in range(self.KILLS):
            enough = sum(acknowledged) + random.randint(50, 300)
            while sum(acknowledged) < enough:
                done.wait(0.01)
            server.restart()
        done.set()
        for thread in threads:
            thread.join()
        with server.client() as client:
            for me in range(self.CLIENTS):
                found = client.load.counters.find_one({"_id": me})["n"]
                self.assertGreaterEqual(found, acknowledged[me], "an acknowledged update is lost")
                self.assertLessEqual(found, acknowledged[me] + unclear[me], "an update happened twice")
                query = {"_id": bson.Regex(f"^{me}-")}
                names = {document["_id"] for document in client.load.documents.find(query)}
                self.assertLessEqual(inserted[me], names, "an acknowledged insert is lost")
                self.assertLessEqual(names, maybe[me])
                self.assertEqual(len(names) % 5, 0, "a batch is there in part")
                found = client.load.documents.find_one({"_id": f"bulk{me}"})["n"]
                self.assertGreaterEqual(found, bulks[me], "an acknowledged bulk is lost")
                self.assertLessEqual(found, bulks[me] + unclear_bulks[me], "a bulk happened twice")
        print(f"kills {self.KILLS}, acknowledged {sum(acknowledged)}, unclear {sum(unclear)}")


if __name__ == "__main__":
    unittest.main()
