"""Change streams, through pymongo."""

import threading
import unittest

import bson
from pymongo import UpdateOne
from pymongo.errors import OperationFailure

from server import ServerTest


class Changes(ServerTest):
    def test_events_are_shaped_as_mongodb_shapes_them(self):
        self.db.c.insert_one({"_id": 0})
        with self.db.c.watch() as stream:
            self.db.c.insert_one({"_id": 1, "a": {"b": 1}, "list": [1, 2, 3]})
            self.db.c.update_one({"_id": 1}, {"$set": {"a.b": 2}, "$unset": {"list": 1}})
            self.db.c.replace_one({"_id": 1}, {"x": 1})
            self.db.c.delete_one({"_id": 1})
            events = [stream.next() for _ in range(4)]
        ns = {"db": self.db.name, "coll": "c"}
        for event in events:
            self.assertEqual(set(event["_id"]), {"_data"})
            self.assertIsInstance(event["clusterTime"], bson.Timestamp)
            self.assertEqual((event["ns"], event["documentKey"]), (ns, {"_id": 1}))
        names = ["insert", "update", "replace", "delete"]
        self.assertEqual([event["operationType"] for event in events], names)
        self.assertEqual(events[0]["fullDocument"], {"_id": 1, "a": {"b": 1}, "list": [1, 2, 3]})
        description = {"updatedFields": {"a.b": 2}, "removedFields": ["list"], "truncatedArrays": []}
        self.assertEqual(events[1]["updateDescription"], description)
        self.assertNotIn("fullDocument", events[1])
        self.assertEqual(events[2]["fullDocument"], {"_id": 1, "x": 1})
        self.assertNotIn("fullDocument", events[3])
        times = [event["clusterTime"] for event in events]
        self.assertEqual(sorted(times), times)

    def test_full_documents_before_and_after(self):
        self.db.c.insert_one({"_id": 1, "n": 0})
        options = {"full_document": "updateLookup", "full_document_before_change": "required"}
        with self.db.c.watch(**options) as stream:
            self.db.c.update_one({"_id": 1}, {"$inc": {"n": 1}})
            event = stream.next()
            self.assertEqual(event["fullDocument"], {"_id": 1, "n": 1})
            self.assertEqual(event["fullDocumentBeforeChange"], {"_id": 1, "n": 0})
        with self.db.c.watch(full_document="required") as stream:
            self.db.c.update_one({"_id": 1}, {"$inc": {"n": 1}})
            self.db.c.delete_one({"_id": 1})
            self.assertEqual(stream.next()["fullDocument"], {"_id": 1, "n": 2})

    def test_a_stream_goes_on_behind_any_event_also_after_a_restart(self):
        self.db.c.insert_one({"_id": "first"})
        with self.db.c.watch() as stream:
            self.db.c.insert_many([{"_id": n} for n in range(5)])
            events = [stream.next() for _ in range(5)]
        self.db.c.bulk_write([UpdateOne({"_id": n}, {"$set": {"a": n}}) for n in range(3)])
        for restart in (False, True):
            if restart:
                self.server.restart()
            for at in (0, 4):
                for how in ("resume_after", "start_after"):
                    with self.db.c.watch(**{how: events[at]["_id"]}) as stream:
                        rest = [stream.next() for _ in range(4 - at + 3)]
                    self.assertEqual(rest[: 4 - at], events[at + 1 :])
                    self.assertEqual(
                        [event["fullDocument"]["a"] for event in rest[4 - at :]]
                        if "fullDocument" in rest[-1]
                        else [event["updateDescription"]["updatedFields"]["a"] for event in rest[4 - at :]],
                        [0, 1, 2],
                    )

    def test_an_open_stream_survives_a_restart_of_the_server(self):
        self.db.c.insert_one({"_id": "first"})
        with self.db.c.watch(max_await_time_ms=100) as stream:
            self.db.c.insert_one({"_id": 1})
            self.assertEqual(stream.next()["documentKey"], {"_id": 1})
            self.server.restart()
            self.db.c.insert_one({"_id": 2})
            self.assertEqual(stream.next()["documentKey"], {"_id": 2})

    def test_a_stream_starts_at_a_time(self):
        self.db.c.insert_one({"_id": "before"})
        time = self.db.command("ping")["operationTime"]
        self.db.c.insert_many([{"_id": n} for n in range(3)])
        start = bson.Timestamp(time.time, time.inc + 1)
        with self.db.c.watch(start_at_operation_time=start) as stream:
            keys = [stream.next()["documentKey"]["_id"] for _ in range(3)]
        self.assertEqual(keys, [0, 1, 2])
        with self.db.c.watch(start_at_operation_time=time) as stream:
            self.assertEqual(stream.next()["documentKey"], {"_id": "before"})

    def test_the_end_of_a_collection_ends_its_stream(self):
        self.db.c.insert_one({"_id": 1})
        with self.db.c.watch() as stream:
            self.db.c.drop()
            events = [stream.next(), stream.next()]
            names = [event["operationType"] for event in events]
            self.assertEqual(names, ["drop", "invalidate"])
            with self.assertRaises(StopIteration):
                stream.next()
        self.db.c.insert_one({"_id": 2})
        with self.assertRaises(OperationFailure) as raised:
            self.db.c.watch(resume_after=events[1]["_id"])
        self.assertEqual(raised.exception.code, 260)
        with self.db.c.watch(start_after=events[1]["_id"]) as stream:
            self.assertEqual(stream.next()["documentKey"], {"_id": 2})

    def test_databases_and_everything_are_watched_and_nothing_of_the_server(self):
        self.db.c.insert_one({"_id": 1})
        other = self.client[self.db.name + "_other"]
        with self.db.watch() as stream, self.client.watch() as all_of_it:
            other.c.insert_one({"_id": 2})
            self.db.d.insert_one({"_id": 3})
            self.db.d.rename("e")
            self.client.drop_database(self.db.name)
            kinds = []
            while not kinds or kinds[-1][0] != "invalidate":
                event = stream.next()
                kinds.append((event["operationType"], event.get("ns", {}).get("coll")))
            self.assertEqual(kinds[:2], [("insert", "d"), ("rename", "d")])
            self.assertIn(("drop", "c"), kinds)
            self.assertEqual([kind for kind, _ in kinds[-2:]], ["dropDatabase", "invalidate"])
            self.assertEqual(all_of_it.next()["ns"], {"db": other.name, "coll": "c"})

    def test_stages_choose_and_shape(self):
        self.db.c.insert_one({"_id": 0})
        pipeline = [
            {"$match": {"operationType": "insert", "fullDocument.n": {"$gt": 1}}},
            {"$addFields": {"twice": {"$multiply": ["$fullDocument.n", 2]}}},
            {"$project": {"twice": 1}},
        ]
        with self.db.c.watch(pipeline) as stream:
            self.db.c.insert_many([{"_id": n, "n": n} for n in range(1, 4)])
            events = [stream.next(), stream.next()]
        self.assertEqual([event["twice"] for event in events], [4, 6])
        self.assertEqual(set(events[0]), {"_id", "twice"})
        for wrong, code in [({"$group": {"_id": 1}}, 20), ({"$match": {"$what": 1}}, 2)]:
            with self.assertRaises(OperationFailure) as raised:
                self.db.c.watch([wrong])
            self.assertEqual(raised.exception.code, code)
        with self.assertRaises(OperationFailure) as raised:
            with self.db.c.watch([{"$set": {"_id": 1}}]) as stream:
                self.db.c.insert_one({"_id": "x"})
                stream.next()
        self.assertEqual(raised.exception.code, 280)

    def test_a_wait_ends_with_the_event_or_with_the_time(self):
        self.db.c.insert_one({"_id": 0})
        with self.db.c.watch(max_await_time_ms=50) as stream:
            self.assertIsNone(stream.try_next())
            token = stream.resume_token
            self.db.elsewhere.insert_one({})
            self.assertIsNone(stream.try_next())
            self.assertNotEqual(stream.resume_token, token, "it goes on past what it does not want")
        with self.db.c.watch(max_await_time_ms=60_000) as stream:
            writer = threading.Timer(0.2, lambda: self.db.c.insert_one({"_id": 1}))
            writer.start()
            self.assertEqual(stream.next()["documentKey"], {"_id": 1})
            writer.join()

    def test_a_transaction_is_told_when_it_is_committed(self):
        self.db.c.insert_one({"_id": 0})
        with self.db.c.watch(max_await_time_ms=50) as stream:
            with self.client.start_session() as session, session.start_transaction():
                self.db.c.insert_one({"_id": 1}, session=session)
                self.db.c.insert_one({"_id": 2}, session=session)
                self.assertIsNone(stream.try_next())
            events = [stream.next(), stream.next()]
        self.assertEqual([event["documentKey"]["_id"] for event in events], [1, 2])
        self.assertEqual(events[0]["clusterTime"], events[1]["clusterTime"])

    def test_what_makes_no_sense_is_refused(self):
        wrong = [
            ({"resumeAfter": {"_data": "82"}}, 260),
            ({"resumeAfter": {"other": 1}}, 260),
            ({"fullDocument": "sometimes"}, 2),
            ({"unknown": 1}, 40415),
            ({"allChangesForCluster": True}, 72),
        ]
        for stage, code in wrong:
            with self.assertRaises(OperationFailure) as raised:
                self.db.c.aggregate([{"$changeStream": stage}])
            self.assertEqual(raised.exception.code, code, stage)
        for database in ("admin", "config", "local"):
            with self.assertRaises(OperationFailure) as raised:
                self.client[database].c.watch()
            self.assertEqual(raised.exception.code, 73)


if __name__ == "__main__":
    unittest.main()
