"""What programs do with a server, through pymongo."""

import unittest

import bson
import pymongo
from pymongo import ASCENDING, DeleteOne, InsertOne, ReplaceOne, ReturnDocument, UpdateMany, UpdateOne
from pymongo.errors import (
    BulkWriteError,
    CollectionInvalid,
    CursorNotFound,
    DuplicateKeyError,
    ExecutionTimeout,
    OperationFailure,
    WriteError,
)

from server import ServerTest


class Documents(ServerTest):
    def test_a_document_goes_in_and_comes_out_as_it_was(self):
        document = {
            "_id": bson.ObjectId(),
            "text": "zwölf",
            "long": bson.Int64(2**40),
            "double": 0.5,
            "array": [1, "two", {"three": None}],
            "binary": b"\x00\x01",
            "decimal": bson.Decimal128("1.50"),
            "regex": bson.Regex("^a", "i"),
            "time": bson.Timestamp(7, 1),
        }
        self.db.c.insert_one(document)
        self.assertEqual(self.db.c.find_one({"_id": document["_id"]}), document)

    def test_updates_say_what_they_matched_and_changed(self):
        self.db.c.insert_many([{"_id": n, "n": n} for n in range(5)])
        result = self.db.c.update_many({"n": {"$gte": 3}}, {"$inc": {"n": 10}})
        self.assertEqual((result.matched_count, result.modified_count), (2, 2))
        result = self.db.c.update_one({"_id": 0}, {"$set": {"n": 0}})
        self.assertEqual((result.matched_count, result.modified_count), (1, 0))
        result = self.db.c.update_one({"_id": 9}, {"$set": {"n": 9}}, upsert=True)
        self.assertEqual((result.matched_count, result.upserted_id), (0, 9))
        result = self.db.c.replace_one({"_id": 9}, {"x": 1})
        self.assertEqual(result.modified_count, 1)
        result = self.db.c.update_one({"_id": 9}, [{"$set": {"x": {"$add": ["$x", 1]}}}])
        self.assertEqual(self.db.c.find_one({"_id": 9}), {"_id": 9, "x": 2})
        self.assertEqual(self.db.c.delete_many({"n": {"$lt": 3}}).deleted_count, 3)
        self.assertEqual(self.db.c.delete_one({}).deleted_count, 1)

    def test_array_filters_and_sorted_updates(self):
        self.db.c.insert_many([{"_id": n, "a": [{"k": 1}, {"k": 2}]} for n in range(3)])
        self.db.c.update_many({}, {"$set": {"a.$[e].v": 1}}, array_filters=[{"e.k": 2}])
        self.assertEqual(self.db.c.find_one()["a"], [{"k": 1}, {"k": 2, "v": 1}])
        self.db.c.update_one({}, {"$set": {"last": True}}, sort={"_id": -1})
        self.assertEqual(self.db.c.find_one({"last": True})["_id"], 2)

    def test_find_one_and_changes_return_the_document(self):
        self.db.c.insert_many([{"_id": n, "n": n} for n in range(3)])
        before = self.db.c.find_one_and_update({}, {"$inc": {"n": 5}}, sort=[("n", -1)])
        self.assertEqual(before, {"_id": 2, "n": 2})
        after = self.db.c.find_one_and_replace(
            {"_id": 7}, {"n": 7}, upsert=True, return_document=ReturnDocument.AFTER
        )
        self.assertEqual(after, {"_id": 7, "n": 7})
        self.assertEqual(self.db.c.find_one_and_delete({"_id": 7}, {"_id": 0}), {"n": 7})
        self.assertIsNone(self.db.c.find_one_and_delete({"_id": 7}))

    def test_a_filter_may_name_variables(self):
        self.db.c.insert_many([{"_id": n} for n in range(5)])
        found = self.db.c.find({"$expr": {"$gt": ["$_id", "$$least"]}}, let={"least": 2})
        self.assertEqual([it["_id"] for it in found], [3, 4])
        found = self.db.c.aggregate(
            [{"$match": {"$expr": {"$lt": ["$_id", "$$most"]}}}, {"$set": {"m": "$$most"}}],
            let={"most": 1},
        )
        self.assertEqual(list(found), [{"_id": 0, "m": 1}])
        deleted = self.db.c.delete_many({"$expr": {"$eq": ["$_id", "$$x"]}}, let={"x": 4})
        self.assertEqual(deleted.deleted_count, 1)


class Errors(ServerTest):
    def test_a_duplicate_key_is_told_with_pattern_and_value(self):
        self.db.c.create_index("email", unique=True)
        self.db.c.insert_one({"email": "a@x"})
        with self.assertRaises(DuplicateKeyError) as caught:
            self.db.c.insert_one({"email": "a@x"})
        details = caught.exception.details
        self.assertEqual(details["keyPattern"], {"email": 1})
        self.assertEqual(details["keyValue"], {"email": "a@x"})
        self.assertIn("E11000", str(caught.exception))

    def test_an_unordered_batch_goes_on_behind_an_error(self):
        self.db.c.insert_one({"_id": 1})
        with self.assertRaises(BulkWriteError) as caught:
            self.db.c.insert_many([{"_id": 0}, {"_id": 1}, {"_id": 2}], ordered=False)
        details = caught.exception.details
        self.assertEqual(details["nInserted"], 2)
        self.assertEqual([it["index"] for it in details["writeErrors"]], [1])
        with self.assertRaises(BulkWriteError) as caught:
            self.db.c.insert_many([{"_id": 5}, {"_id": 1}, {"_id": 6}])
        self.assertEqual(caught.exception.details["nInserted"], 1)

    def test_what_is_not_known_is_refused_by_name(self):
        for command, code in [
            ({"nonsense": 1}, 59),
            ({"ping": 1, "nonsense": 1}, 40415),
            ({"find": "c", "collation": {"locale": "de"}}, 72),
            ({"find": "c", "limit": "x"}, 14),
            ({"find": "c", "skip": -1}, 51024),
            ({"find": 1}, 73),
            ({"find": "c", "filter": {"$nonsense": 1}}, 2),
            ({"create": "c", "capped": True, "size": 1000}, 72),
            ({"aggregate": "c", "pipeline": []}, 9),
            ({"getMore": bson.Int64(7), "collection": "c"}, 43),
        ]:
            with self.subTest(command=command):
                with self.assertRaises(OperationFailure) as caught:
                    self.db.command(command)
                self.assertEqual(caught.exception.code, code)
                self.assertTrue(caught.exception.details["codeName"])

    def test_a_validator_says_why(self):
        schema = {"$jsonSchema": {"required": ["name"]}}
        self.db.create_collection("c", validator=schema)
        with self.assertRaises(WriteError) as caught:
            self.db.c.insert_one({})
        self.assertEqual(caught.exception.code, 121)
        self.assertIn("errInfo", caught.exception.details)
        writer = self.db.c
        self.db.command("insert", "c", documents=[{}], bypassDocumentValidation=True)
        self.assertEqual(writer.count_documents({}), 1)

    def test_a_query_ends_when_its_time_is_up(self):
        self.db.c.insert_many([{"_id": n, "a": list(range(50))} for n in range(3000)])
        with self.assertRaises(ExecutionTimeout):
            list(self.db.c.aggregate([{"$unwind": "$a"}, {"$group": {"_id": "$a", "all": {"$push": "$$ROOT"}}},
                {"$unwind": "$all"}, {"$sort": {"all.a": 1}}], maxTimeMS=1))


class Cursors(ServerTest):
    def test_a_cursor_comes_in_batches_and_ends(self):
        self.db.c.insert_many([{"_id": n} for n in range(250)])
        found = self.db.c.find({}, batch_size=100)
        self.assertEqual([it["_id"] for it in found], list(range(250)))
        self.assertEqual(found.cursor_id, 0)
        self.assertEqual(len(list(self.db.c.find().skip(10).limit(30).batch_size(7))), 30)
        one = self.db.c.find().limit(-3)
        self.assertEqual(len(list(one)), 3)

    def test_a_cursor_shows_the_state_of_its_beginning(self):
        self.db.c.insert_many([{"_id": n} for n in range(10)])
        found = self.db.c.find({}, batch_size=2)
        next(found)
        self.db.c.delete_many({})
        self.assertEqual(len(list(found)), 9)

    def test_a_killed_cursor_is_gone(self):
        self.db.c.insert_many([{"_id": n} for n in range(10)])
        found = self.db.c.find({}, batch_size=2)
        next(found)
        reply = self.db.command("killCursors", "c", cursors=[found.cursor_id])
        self.assertEqual(reply["cursorsKilled"], [found.cursor_id])
        with self.assertRaises(CursorNotFound):
            list(found)

    def test_an_exhaust_cursor_needs_no_asking(self):
        self.db.c.insert_many([{"_id": n} for n in range(250)])
        found = self.db.c.find({}, cursor_type=pymongo.CursorType.EXHAUST, batch_size=20)
        self.assertEqual(len(list(found)), 250)

    def test_large_documents_come_one_by_one(self):
        self.db.c.insert_many([{"_id": n, "t": "x" * (7 << 20)} for n in range(5)])
        self.assertEqual(sum(1 for _ in self.db.c.find()), 5)


class Bulk(ServerTest):
    def test_a_bulk_of_all_kinds(self):
        result = self.db.c.bulk_write(
            [
                InsertOne({"_id": 1}),
                UpdateOne({"_id": 1}, {"$set": {"x": 1}}),
                UpdateOne({"_id": 2}, {"$set": {"x": 2}}, upsert=True),
                ReplaceOne({"_id": 1}, {"x": 3}),
                UpdateMany({}, {"$inc": {"x": 1}}),
                DeleteOne({"_id": 2}),
            ]
        )
        self.assertEqual(result.inserted_count, 1)
        self.assertEqual(result.matched_count, 4)
        self.assertEqual(result.upserted_ids, {2: 2})
        self.assertEqual(result.deleted_count, 1)
        self.assertEqual(list(self.db.c.find()), [{"_id": 1, "x": 4}])

    def test_a_bulk_over_several_collections(self):
        name = self.db.name
        result = self.client.bulk_write(
            [
                InsertOne({"_id": 1}, namespace=f"{name}.a"),
                InsertOne({"_id": 1}, namespace=f"{name}.b"),
                UpdateOne({"_id": 2}, {"$set": {"x": 1}}, upsert=True, namespace=f"{name}.b"),
                DeleteOne({"_id": 1}, namespace=f"{name}.a"),
            ],
            verbose_results=True,
        )
        self.assertEqual((result.inserted_count, result.upserted_count, result.deleted_count), (2, 1, 1))
        self.assertEqual(result.update_results[2].upserted_id, 2)


class Indexes(ServerTest):
    def test_indexes_are_made_listed_used_and_dropped(self):
        self.db.c.insert_many([{"_id": n, "a": n % 10, "b": n} for n in range(100)])
        name = self.db.c.create_index([("a", ASCENDING), ("b", -1)])
        self.assertEqual(name, "a_1_b_-1")
        self.assertEqual(list(self.db.c.index_information()), ["_id_", name])
        plan = self.db.c.find({"a": 3}).explain()["queryPlanner"]["winningPlan"]
        self.assertIn("a_1_b_-1", str(plan))
        self.assertEqual(self.db.c.count_documents({"a": 3}, hint=name), 10)
        self.assertEqual(self.db.c.update_many({"a": 3}, {"$set": {"c": 1}}, hint=name).modified_count, 10)
        with self.assertRaises(OperationFailure) as caught:
            self.db.c.delete_one({"a": 3}, hint="nothing_1")
        self.assertEqual(caught.exception.code, 2)
        self.db.c.drop_index(name)
        with self.assertRaises(OperationFailure) as caught:
            self.db.c.drop_index(name)
        self.assertEqual(caught.exception.code, 27)

    def test_index_options_come_back(self):
        self.db.c.create_index("at", expireAfterSeconds=60)
        self.db.c.create_index("u", unique=True, partialFilterExpression={"u": {"$gt": 1}})
        information = self.db.c.index_information()
        self.assertEqual(information["at_1"]["expireAfterSeconds"], 60)
        self.assertEqual(information["u_1"]["partialFilterExpression"], {"u": {"$gt": 1}})
        self.db.command("collMod", "c", index={"name": "at_1", "expireAfterSeconds": 90})
        self.assertEqual(self.db.c.index_information()["at_1"]["expireAfterSeconds"], 90)


class Aggregation(ServerTest):
    def test_pipelines_group_join_and_write(self):
        self.db.sales.insert_many([{"_id": n, "item": n % 3, "cents": n} for n in range(30)])
        self.db.items.insert_many([{"_id": n, "name": f"item {n}"} for n in range(3)])
        found = self.db.sales.aggregate(
            [
                {"$group": {"_id": "$item", "cents": {"$sum": "$cents"}}},
                {"$lookup": {"from": "items", "localField": "_id", "foreignField": "_id", "as": "item"}},
                {"$sort": {"_id": 1}},
            ]
        )
        self.assertEqual([it["item"][0]["name"] for it in found], ["item 0", "item 1", "item 2"])
        self.db.sales.aggregate([{"$match": {"item": 1}}, {"$out": "ones"}])
        self.assertEqual(self.db.ones.count_documents({}), 10)
        self.assertEqual(self.db.sales.estimated_document_count(), 30)
        self.assertEqual(sorted(self.db.sales.distinct("item")), [0, 1, 2])

    def test_documents_of_the_pipeline_itself(self):
        found = self.db.aggregate([{"$documents": [{"x": 1}, {"x": 2}]}])
        self.assertEqual(list(found), [{"x": 1}, {"x": 2}])


class Administration(ServerTest):
    def test_collections_and_databases_come_and_go(self):
        self.db.create_collection("made", validator={"a": 1})
        self.db.c.insert_one({})
        self.assertEqual(sorted(self.db.list_collection_names()), ["c", "made"])
        made = next(self.db.list_collections(filter={"name": "made"}))
        self.assertEqual(made["options"], {"validator": {"a": 1}})
        self.assertEqual(made["idIndex"]["name"], "_id_")
        with self.assertRaises(CollectionInvalid):
            self.db.create_collection("made")
        self.db.c.rename("d")
        self.assertIn(self.db.name, self.client.list_database_names())
        self.assertTrue(self.db.validate_collection("d")["valid"])
        self.db.drop_collection("d")
        self.client.drop_database(self.db.name)
        self.assertNotIn(self.db.name, self.client.list_database_names())

    def test_what_shells_ask_at_their_start(self):
        admin = self.client.admin
        self.assertEqual(admin.command("buildInfo")["ok"], 1.0)
        for command in ["hostInfo", "whatsmyuri", "connectionStatus", "getCmdLineOpts", "features"]:
            self.assertEqual(admin.command(command)["ok"], 1.0)
        warnings = admin.command("getLog", "startupWarnings")["log"]
        self.assertTrue(any("less safe" in warning for warning in warnings))
        version = admin.command("getParameter", 1, featureCompatibilityVersion=1)
        self.assertIn("featureCompatibilityVersion", version)

    def test_all_compressors(self):
        for name in ["snappy", "zlib", "zstd"]:
            with self.server.client(compressors=name) as client:
                collection = client[self.db.name][name]
                collection.insert_many([{"_id": n, "t": "x" * 1000} for n in range(500)])
                self.assertEqual(len(list(collection.find())), 500)


class Durability(ServerTest):
    def test_what_was_acknowledged_is_there_after_a_kill(self):
        self.db.c.insert_many([{"_id": n} for n in range(100)])
        self.server.restart()
        self.assertEqual(self.db.c.count_documents({}), 100)


if __name__ == "__main__":
    unittest.main()
