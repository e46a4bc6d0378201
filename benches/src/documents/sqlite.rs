//! SQLite with a document in one column, as JSON text or as JSONB; indexes over expressions.
//! Write-ahead log, synchronous FULL, a cache of 256 MiB as ours has.

use std::ops::Range;
use std::path::Path;

use rusqlite::{Connection, params};

use super::{Engine, Fields, INDEXED, Store, email};

/// See the module's text.
#[derive(Clone, Copy, Debug)]
pub enum Sqlite {
    /// The document is text.
    Text,
    /// The document is binary.
    Jsonb,
}

struct Open {
    form: Sqlite,
    connection: Connection,
    prepared: std::vec::IntoIter<(i64, String)>,
}

fn json(fields: &Fields) -> String {
    let Fields {
        id,
        email,
        name,
        status,
        city,
        age,
        balance,
    } = fields;
    format!(
        "{{\"_id\":{id},\"name\":\"{name}\",\"email\":\"{email}\",\"status\":\"{status}\",\
         \"street\":\"12 Long Street of Some Town\",\"city\":\"{city}\",\"zip\":12345,\
         \"country\":\"GB\",\"age\":{age},\"balance\":{balance:?},\"limit\":500,\
         \"active\":true,\"score\":7.5,\"created\":1700000000000,\"updated\":1700000000000,\
         \"tags\":[\"blue\",\"green\",\"red\"],\"visits\":12,\"referrer\":\"search\",\
         \"language\":\"en\",\"version\":3}}"
    )
}

impl Engine for Sqlite {
    fn name(&self) -> &'static str {
        match self {
            Self::Text => "SQLite JSON text",
            Self::Jsonb => "SQLite JSONB",
        }
    }

    fn open(&self, directory: &Path, indexes: usize) -> Box<dyn Store> {
        let connection = Connection::open(directory.join("db.sqlite")).expect("a database");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                 PRAGMA cache_size = -262144; PRAGMA mmap_size = 2147483648;
                 CREATE TABLE bench (id INTEGER PRIMARY KEY, doc NOT NULL)",
            )
            .expect("a table");
        for field in INDEXED.iter().take(indexes) {
            let index = format!("CREATE INDEX by_{field} ON bench (doc ->> '$.{field}')");
            connection.execute_batch(&index).expect("an index");
        }
        connection.set_prepared_statement_cache_capacity(32);
        Box::new(Open {
            form: *self,
            connection,
            prepared: Vec::new().into_iter(),
        })
    }
}

impl Open {
    fn put(&mut self, count: usize) {
        let sql = match self.form {
            Sqlite::Text => "INSERT INTO bench (id, doc) VALUES (?1, ?2)",
            Sqlite::Jsonb => "INSERT INTO bench (id, doc) VALUES (?1, jsonb(?2))",
        };
        let mut statement = self.connection.prepare_cached(sql).expect("a statement");
        for (id, text) in self.prepared.by_ref().take(count) {
            statement.execute(params![id, text]).expect("an insert");
        }
    }

    /// What a query of one document gives, as text where it is to be decoded.
    fn one<T: rusqlite::types::FromSql>(
        &self,
        column: &str,
        condition: &str,
        key: impl rusqlite::ToSql,
    ) -> T {
        let sql = format!("SELECT {column} FROM bench WHERE {condition}");
        let mut statement = self.connection.prepare_cached(&sql).expect("a statement");
        let found = statement.query_row(params![key], |row| row.get(0));
        found.expect("a document")
    }

    /// Bytes of a document as it is stored.
    fn found(&self, condition: &str, key: impl rusqlite::ToSql) -> usize {
        match self.form {
            Sqlite::Text => self.one::<String>("doc", condition, key).len(),
            Sqlite::Jsonb => self.one::<Vec<u8>>("doc", condition, key).len(),
        }
    }

    fn decoded(&self, condition: &str, key: impl rusqlite::ToSql) -> usize {
        let column = match self.form {
            Sqlite::Text => "doc",
            Sqlite::Jsonb => "json(doc)",
        };
        let text: String = self.one(column, condition, key);
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        value.as_object().map_or(0, serde_json::Map::len)
    }
}

impl Store for Open {
    fn prepare(&mut self, numbers: Range<u64>) {
        let documents = numbers.map(Fields::of);
        let documents = documents.map(|fields| (fields.id, json(&fields)));
        self.prepared = documents.collect::<Vec<_>>().into_iter();
    }

    fn insert(&mut self, count: usize) {
        if count == 1 {
            return self.put(1);
        }
        self.connection.execute_batch("BEGIN").expect("a begin");
        self.put(count);
        self.connection.execute_batch("COMMIT").expect("a commit");
    }

    fn find_by_id(&mut self, number: u64) -> usize {
        self.found("id = ?1", number.cast_signed())
    }

    fn decode_by_id(&mut self, number: u64) -> usize {
        self.decoded("id = ?1", number.cast_signed())
    }

    fn find_by_index(&mut self, number: u64) -> usize {
        self.found("doc ->> '$.email' = ?1", email(number))
    }

    fn decode_by_index(&mut self, number: u64) -> usize {
        self.decoded("doc ->> '$.email' = ?1", email(number))
    }

    fn count_matching(&mut self) -> u64 {
        let sql = "SELECT count(*) FROM bench WHERE doc ->> '$.status' = 'active'
                   AND doc ->> '$.age' >= 18 AND doc ->> '$.age' < 40
                   AND doc ->> '$.balance' < 5000.0";
        let count: i64 = self
            .connection
            .query_row(sql, [], |row| row.get(0))
            .expect("a count");
        count.cast_unsigned()
    }

    fn group(&mut self) -> Option<u64> {
        let sql = "SELECT doc ->> '$.city', count(*), sum(doc ->> '$.balance')
                   FROM bench GROUP BY 1";
        let mut statement = self.connection.prepare(sql).expect("a statement");
        let groups = statement.query_map([], |row| row.get::<_, f64>(2));
        let groups = groups.expect("groups");
        let sums = groups.map(|sum| sum.expect("a sum").is_finite());
        Some(sums.filter(|is_sum| *is_sum).count() as u64)
    }
}
