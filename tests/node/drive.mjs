// Talks to cs-server through the Node driver: tests/node/run
import assert from 'node:assert/strict';
import { MongoClient, ObjectId, Long } from 'mongodb';

const client = new MongoClient(process.env.CS_URI, { serverSelectionTimeoutMS: 10_000 });
const db = client.db('node');

const tests = {
  async 'documents go in and come out'() {
    const c = db.collection('documents');
    const _id = new ObjectId();
    await c.insertOne({ _id, text: 'zwölf', list: [1, 'two', { three: null }] });
    assert.deepEqual(await c.findOne({ _id }), { _id, text: 'zwölf', list: [1, 'two', { three: null }] });
    const many = await c.insertMany(Array.from({ length: 300 }, (_, n) => ({ _id: n, n })));
    assert.equal(many.insertedCount, 300);
    const updated = await c.updateMany({ n: { $gte: 290 } }, { $inc: { n: 1 } });
    assert.deepEqual([updated.matchedCount, updated.modifiedCount], [10, 10]);
    const upserted = await c.updateOne({ _id: 'new' }, { $set: { x: 1 } }, { upsert: true });
    assert.equal(upserted.upsertedId, 'new');
    assert.equal((await c.deleteMany({ n: { $lt: 100 } })).deletedCount, 100);
    assert.equal(await c.countDocuments({ n: { $exists: true } }), 200);
    assert.equal((await c.findOneAndUpdate({ _id: 'new' }, { $inc: { x: 1 } }, { returnDocument: 'after' })).x, 2);
  },
  async 'bulk writes, cursors and aggregation'() {
    const c = db.collection('bulk');
    const result = await c.bulkWrite([
      { insertOne: { document: { _id: 1 } } },
      { updateOne: { filter: { _id: 2 }, update: { $set: { x: 2 } }, upsert: true } },
      { replaceOne: { filter: { _id: 1 }, replacement: { x: 3 } } },
      { deleteOne: { filter: { _id: 2 } } },
    ]);
    assert.deepEqual([result.insertedCount, result.upsertedCount, result.deletedCount], [1, 1, 1]);
    await c.insertMany(Array.from({ length: 250 }, (_, n) => ({ k: n % 5, n })));
    const found = await c.find({ n: { $exists: true } }).sort({ n: -1 }).batchSize(40).toArray();
    assert.deepEqual([found.length, found[0].n], [250, 249]);
    const groups = await c.aggregate([{ $match: { n: { $gte: 0 } } }, { $group: { _id: '$k', sum: { $sum: '$n' } } }, { $sort: { _id: 1 } }]).toArray();
    assert.equal(groups.length, 5);
    assert.deepEqual((await c.distinct('k')).sort(), [0, 1, 2, 3, 4]);
  },
  async 'indexes and errors'() {
    const c = db.collection('indexes');
    assert.equal(await c.createIndex({ email: 1 }, { unique: true }), 'email_1');
    await c.insertOne({ email: 'a' });
    await assert.rejects(c.insertOne({ email: 'a' }), { code: 11000, keyValue: { email: 'a' } });
    assert.deepEqual((await c.indexes()).map(it => it.name), ['_id_', 'email_1']);
    const plan = await c.find({ email: 'a' }).explain();
    assert.match(JSON.stringify(plan.queryPlanner.winningPlan), /email_1/);
    await c.dropIndex('email_1');
    await assert.rejects(db.command({ nonsense: 1 }), { code: 59 });
    await assert.rejects(c.find({}, { collation: { locale: 'de' } }).toArray(), { code: 72 });
  },
  async 'administration'() {
    await db.createCollection('made', { validator: { a: { $gt: 0 } } });
    await assert.rejects(db.collection('made').insertOne({ a: 0 }), { code: 121 });
    assert.ok((await db.listCollections().toArray()).some(it => it.name === 'made'));
    assert.ok((await db.admin().listDatabases()).databases.some(it => it.name === 'node'));
    await db.dropDatabase();
    assert.deepEqual(await db.listCollections().toArray(), []);
  },
};

let failed = 0;
await client.connect();
await db.dropDatabase();
for (const [name, test] of Object.entries(tests)) {
  try {
    await test();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}
await client.close();
process.exit(failed ? 1 : 0);
