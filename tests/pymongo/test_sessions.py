"""Sessions, transactions, retryable writes and change streams, through pymongo."""

import unittest
import uuid

import bson
import pymongo
from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, InvalidOperation, OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from server import ServerTest


def lsid():
    return {"id": bson.Binary(uuid.uuid4().bytes, bson.binary.UUID_SUBTYPE)}


class Transactions(ServerTest):
    def setUp(self):
        super().setUp()
        self.db.c.insert_one({"_id": "there", "n": 0})

    def code_of(self, work, *arguments, **options):
        with self.assertRaises(OperationFailure) as raised:
            work(*arguments, **options)
        self.error = raised.exception
        return self.error.code

    def test_what_is_committed_is_there_and_what_is_aborted_is_not(self):
        with self.client.start_session() as session:
            with session.start_transaction():
                self.db.c.insert_one({"_id": 1}, session=session)
                self.db.other.insert_one({"_id": 1}, session=session)
                self.assertEqual(self.db.c.count_documents({"_id": 1}, session=session), 1)
                self.assertIsNone(self.db.c.find_one({"_id": 1}))
            self.assertEqual(self.db.c.find_one({"_id": 1}), {"_id": 1})
            session.start_transaction()
            self.db.c.update_one({"_id": 1}, {"$set": {"n": 1}}, session=session)
            session.abort_transaction()
        self.assertEqual(self.db.c.find_one({"_id": 1}), {"_id": 1})
        self.assertEqual(self.db.other.count_documents({}), 1)

    def test_a_transaction_reads_one_state(self):
        with self.client.start_session() as session, session.start_transaction():
            self.assertEqual(self.db.c.find_one({"_id": "there"}, session=session)["n"], 0)
            self.db.c.update_one({"_id": "there"}, {"$set": {"n": 5}})
            self.assertEqual(self.db.c.find_one({"_id": "there"}, session=session)["n"], 0)

    def test_a_commit_that_lost_is_a_write_conflict_and_is_tried_anew_as_a_whole(self):
        with self.client.start_session() as session:
            session.start_transaction()
            self.db.c.update_one({"_id": "there"}, {"$inc": {"n": 1}}, session=session)
            self.db.c.update_one({"_id": "there"}, {"$inc": {"n": 10}})
            self.assertEqual(self.code_of(session.commit_transaction), 112)
            self.assertTrue(self.error.has_error_label("TransientTransactionError"))
            self.assertFalse(self.error.has_error_label("UnknownTransactionCommitResult"))
            attempts = []

            def work(session):
                self.db.c.update_one({"_id": "there"}, {"$inc": {"n": 1}}, session=session)
                if not attempts:
                    self.db.c.update_one({"_id": "there"}, {"$inc": {"n": 10}})
                attempts.append(1)

            session.with_transaction(work)
        self.assertEqual(len(attempts), 2)
        self.assertEqual(self.db.c.find_one({"_id": "there"})["n"], 21)

    def test_a_commit_is_answered_the_same_again(self):
        with self.client.start_session() as session:
            session.start_transaction()
            self.db.c.insert_one({"_id": 1}, session=session)
            session.commit_transaction()
            session.commit_transaction()
            with self.assertRaises(InvalidOperation):
                session.abort_transaction()

    def test_a_write_that_fails_ends_the_transaction(self):
        with self.client.start_session() as session:
            session.start_transaction()
            self.db.c.insert_one({"_id": 1}, session=session)
            with self.assertRaises(pymongo.errors.DuplicateKeyError):
                self.db.c.insert_one({"_id": "there"}, session=session)
            self.assertEqual(self.code_of(session.commit_transaction), 251)
            self.assertTrue(self.error.has_error_label("TransientTransactionError"))
        self.assertIsNone(self.db.c.find_one({"_id": 1}))

    def test_what_cannot_be_in_a_transaction_is_refused(self):
        refused = [
            {"count": "c"},
            {"listCollections": 1},
            {"drop": "c"},
            {"ping": 1},
        ]
        for command in refused:
            with self.client.start_session() as session:
                session.start_transaction()
                self.assertEqual(self.code_of(self.db.command, command, session=session), 263)

    def test_states_and_codes(self):
        session = lsid()
        within = {"lsid": session, "autocommit": False}

        def command(name, number, db=None, **fields):
            fields = {**within, "txnNumber": bson.Int64(number), **fields}
            return lambda: self.raw({name: 1 if db else "c", **fields}, db)

        admin = "admin"
        find = command("find", 2)
        start = command("find", 2, startTransaction=True)
        self.assertEqual(self.code_of(find), 251)
        start()
        self.assertEqual(self.code_of(start), 50911)
        find()
        self.assertEqual(self.code_of(command("find", 1)), 225)
        self.assertEqual(self.code_of(command("find", 3)), 251)
        concern = {"level": "snapshot"}
        self.assertEqual(self.code_of(command("find", 2, readConcern=concern)), 72)
        find()
        self.raw({"insert": "c", **within, "txnNumber": bson.Int64(2), "documents": [{"_id": "there"}]})
        self.assertEqual(self.code_of(find), 251, "it was ended by the error")
        start = command("insert", 4, startTransaction=True, documents=[{"_id": 4}])
        start()
        command("commitTransaction", 4, admin)()
        command("commitTransaction", 4, admin)()
        self.assertEqual(self.code_of(command("abortTransaction", 4, admin)), 256)
        self.assertEqual(self.code_of(command("find", 4)), 256)
        command("insert", 5, startTransaction=True, documents=[{"_id": 5}])()
        command("abortTransaction", 5, admin)()
        self.assertEqual(self.code_of(command("abortTransaction", 5, admin)), 251)
        self.assertEqual(self.code_of(command("commitTransaction", 5, admin)), 251)
        self.server.restart()
        command("commitTransaction", 4, admin)()
        self.assertEqual(self.code_of(command("commitTransaction", 6, admin)), 251)

    def test_fields_that_make_no_sense_together_are_refused(self):
        wrong = [
            {"autocommit": False},
            {"lsid": lsid(), "txnNumber": bson.Int64(1), "autocommit": True},
            {"lsid": lsid(), "txnNumber": bson.Int64(1), "startTransaction": True},
            {"txnNumber": bson.Int64(1)},
            {"readConcern": {"level": "snapshot"}},
            {"readConcern": {"level": "local", "atClusterTime": bson.Timestamp(1, 1)}},
        ]
        for fields in wrong:
            self.assertEqual(self.code_of(self.raw, {"find": "c", **fields}), 72, fields)
        fields = {"lsid": lsid(), "txnNumber": bson.Int64(1)}
        self.assertEqual(self.code_of(self.raw, {"find": "c", **fields}), 50768)

    def test_a_session_that_ends_takes_its_transaction_along(self):
        session = self.client.start_session()
        session.start_transaction()
        self.db.c.insert_one({"_id": 1}, session=session)
        self.client.admin.command("killSessions", [session.session_id])
        self.assertEqual(self.code_of(session.commit_transaction), 251)
        session.end_session()
        self.client.admin.command("killAllSessions", [])

    def test_cursors_belong_to_their_transaction(self):
        self.db.c.insert_many([{"_id": n} for n in range(5)])
        with self.client.start_session() as session:
            session.start_transaction()
            cursor = self.db.c.find({}, batch_size=2, session=session)
            next(cursor)
            with self.assertRaises(OperationFailure):
                more = {"getMore": bson.Int64(cursor.cursor_id), "collection": "c"}
                self.db.command(more)
            self.assertEqual(len(list(cursor)), 5)
            session.abort_transaction()

    def test_concerns_are_honoured_or_told(self):
        durable = self.db.get_collection("c", write_concern=WriteConcern(w="majority", j=True))
        durable.insert_one({"_id": 1})
        self.db.get_collection("c", write_concern=WriteConcern(w=0)).insert_one({"_id": 2})
        for level in ["local", "majority", "available", "linearizable"]:
            reads = self.db.get_collection("c", read_concern=ReadConcern(level))
            self.assertIsNotNone(reads.find_one({"_id": 1}))
        reply = self.db.command("insert", "c", documents=[{"_id": 3}], writeConcern={"w": 3})
        self.assertEqual((reply["n"], reply["writeConcernError"]["code"]), (1, 100))
        reply = self.db.command("insert", "c", documents=[{"_id": 4}], writeConcern={"w": "x"})
        self.assertEqual((reply["n"], reply["writeConcernError"]["code"]), (1, 79))

    def test_replies_tell_the_time_and_it_grows(self):
        times = []
        for number in range(3):
            self.db.c.insert_one({"_id": number})
            times.append(self.db.command("ping")["operationTime"])
        self.assertEqual(sorted(set(times)), times)
        with self.client.start_session(causal_consistency=True) as session:
            self.db.c.insert_one({"_id": 9}, session=session)
            self.assertIsNotNone(self.db.c.find_one({"_id": 9}, session=session))


class RetryableWrites(ServerTest):
    def send(self, name, number, session, **fields):
        fields = {"lsid": session, "txnNumber": bson.Int64(number), **fields}
        reply = self.raw({name: "c", **fields})
        return {k: v for k, v in reply.items() if k not in ("operationTime", "$clusterTime")}

    def test_a_write_that_is_sent_again_happens_once_and_answers_the_same(self):
        session = lsid()
        writes = [
            ("insert", {"documents": [{"_id": 1}]}),
            ("insert", {"documents": [{"_id": n} for n in range(2, 2000)]}),
            ("insert", {"documents": [{"_id": 5000}, {"_id": 1}], "ordered": False}),
            ("update", {"updates": [{"q": {"_id": 1}, "u": {"$inc": {"n": 1}}}]}),
            ("update", {"updates": [{"q": {"_id": 7777}, "u": {"$inc": {"n": 1}}, "upsert": True}]}),
            ("update", {"updates": [{"q": {"_id": n}, "u": {"$inc": {"n": 1}}} for n in range(50)]}),
            (
                "update",
                {
                    "updates": [
                        {"q": {"_id": f"up{n}"}, "u": {"$inc": {"n": 1}}, "upsert": True}
                        for n in range(3000)
                    ]
                },
            ),
            ("update", {"updates": [{"q": {"_id": 2}, "u": {"x": 1}}]}),
            ("delete", {"deletes": [{"q": {"_id": 3}, "limit": 1}]}),
            ("delete", {"deletes": [{"q": {"_id": n}, "limit": 1} for n in (4, 5)]}),
            ("findAndModify", {"query": {"_id": 1}, "update": {"$inc": {"n": 1}}, "new": True}),
            (
                "findAndModify",
                {"query": {"_id": "big"}, "update": {"x": "y" * 100_000}, "upsert": True, "new": True},
            ),
        ]
        for number, (name, fields) in enumerate(writes):
            first = self.send(name, number, session, **fields)
            self.assertEqual(self.send(name, number, session, **fields), first, name)
            state = list(self.db.c.find({}).sort("_id", 1))
            if number in (1, 6, 11):
                self.server.restart()
            self.assertEqual(self.send(name, number, session, **fields), first, name)
            self.assertEqual(list(self.db.c.find({}).sort("_id", 1)), state)
            with self.assertRaises(OperationFailure) as raised:
                self.send(name, number - 1, session, **fields)
            self.assertEqual(raised.exception.code, 225 if number else 72)

    def test_a_bulk_of_many_collections_is_one_write(self):
        session = lsid()
        command = {
            "bulkWrite": 1,
            "ops": [
                {"insert": 0, "document": {"_id": 1}},
                {"update": 1, "filter": {"_id": 1}, "updateMods": {"$inc": {"n": 1}}, "upsert": True},
            ],
            "nsInfo": [{"ns": f"{self.db.name}.a"}, {"ns": f"{self.db.name}.b"}],
            "lsid": session,
            "txnNumber": bson.Int64(1),
        }
        replies = [self.raw(command, "admin") for _ in range(3)]
        self.assertEqual([reply["nInserted"] for reply in replies], [1, 1, 1])
        self.assertEqual(self.db.b.find_one(), {"_id": 1, "n": 1})

    def test_a_failed_write_leaves_nothing_and_can_be_sent_again(self):
        session = lsid()
        self.db.c.insert_one({"_id": 1})
        reply = self.send("insert", 1, session, documents=[{"_id": 1}])
        self.assertEqual((reply["n"], reply["writeErrors"][0]["code"]), (0, 11000))
        self.db.c.delete_one({"_id": 1})
        self.assertEqual(self.send("insert", 1, session, documents=[{"_id": 1}])["n"], 1)

    def test_writes_of_many_documents_are_not_retryable(self):
        for name, fields in [
            ("update", {"updates": [{"q": {}, "u": {"$set": {"a": 1}}, "multi": True}]}),
            ("delete", {"deletes": [{"q": {}, "limit": 0}]}),
        ]:
            with self.assertRaises(OperationFailure) as raised:
                self.send(name, 1, lsid(), **fields)
            self.assertEqual(raised.exception.code, 72)

    def test_contended_bulks_all_happen(self):
        import threading

        self.db.c.insert_many([{"_id": n, "n": 0} for n in range(3)])

        def work():
            for _ in range(20):
                self.db.c.bulk_write(
                    [UpdateOne({"_id": n}, {"$inc": {"n": 1}}) for n in range(3)]
                )

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([d["n"] for d in self.db.c.find()], [80, 80, 80])

    def test_errors_of_a_bulk_are_told_one_by_one(self):
        self.db.c.insert_one({"_id": 1})
        with self.assertRaises(BulkWriteError) as raised:
            self.db.c.bulk_write([InsertOne({"_id": n}) for n in (0, 1, 2)], ordered=False)
        details = raised.exception.details
        self.assertEqual((details["nInserted"], details["writeErrors"][0]["index"]), (2, 1))

    def test_sessions_are_begun_and_ended_by_command(self):
        begun = self.client.admin.command("startSession")
        self.assertEqual(begun["timeoutMinutes"], 30)
        self.client.admin.command("refreshSessions", [begun["id"]])
        self.client.admin.command("endSessions", [begun["id"]])


if __name__ == "__main__":
    unittest.main()
