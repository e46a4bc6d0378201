//! Seeded damage of all kinds at once.

use std::fs;

use serde_json::Value;

use super::{dump, salvage, used_pages};
use crate::support::{Scratch, json};

/// A seeded generator: the same damage each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }
}

#[test]
fn of_any_damage_nothing_is_invented_and_with_the_map_nothing_rises_again() {
    // More, where somebody asks for them.
    let seeds = std::env::var("CS_SALVAGE_SEEDS").map_or(25, |seeds| seeds.parse().unwrap());
    for has_log in [true, false] {
        let durability = if has_log {
            collection_store::Durability::Async
        } else {
            collection_store::Durability::Memory
        };
        let source = Scratch {
            directory: tempfile::tempdir().unwrap(),
        };
        let options = collection_store::Database::options().page_size(4096);
        let database = options.durability(durability).open(source.path()).unwrap();
        let people = database.collection("people");
        let mut ever: Vec<String> = Vec::new();
        for round in 0..5 {
            for id in 0..120 {
                let text = "t".repeat(((id * 13 + round * 7) % 400) as usize);
                let document = bson::doc! { "_id": id, "round": round, "text": text };
                people.delete_one(bson::doc! { "_id": id }).unwrap();
                if (id + round) % 3 != 0 {
                    people.insert_one(document).unwrap();
                }
            }
            database.checkpoint().unwrap();
            ever.extend(dump(&source.text()).remove("main.people").unwrap());
        }
        database.close().unwrap();
        drop((people, database));
        let model = dump(&source.text());
        let pages = used_pages(&source.text());
        for seed in 0..seeds {
            let mut random = Random(seed + 1);
            let scratch = source.copied();
            let mut what = format!("log {has_log}, seed {seed}:");
            let mut loses_map = false;
            for _ in 0..=random.below(4) {
                let page = &pages[random.below(pages.len() as u64) as usize];
                loses_map |= page["kind"].as_str().unwrap().starts_with("allocation");
                what.push_str(&format!(" {} {}", page["kind"], page["page"]));
                let bytes = fs::read(scratch.path().join("data.cs")).unwrap();
                let number = page["page"].as_u64().unwrap();
                let intact = fs::read(source.path().join("data.cs")).unwrap();
                let at = number as usize * 4096;
                if bytes[at] == intact[at] {
                    scratch.ruin(number);
                }
            }
            if random.below(3) == 0 {
                loses_map = true;
                what.push_str(" metas");
                for offset in [100, 4196] {
                    scratch.flip("data.cs", offset);
                }
            }
            if has_log && random.below(3) == 0 {
                // Then the past may come back where the present cannot be read.
                loses_map = true;
                let list = json(&["wal", "list", &source.text()]);
                let segments = list["segments"].as_array().unwrap().iter();
                let live: Vec<&Value> = segments.filter(|one| one["role"] == "live").collect();
                let segment = live[random.below(live.len() as u64) as usize];
                let name = segment["name"].as_str().unwrap();
                let at = random.below(segment["file_bytes"].as_u64().unwrap());
                what.push_str(&format!(" {name} {at}"));
                scratch.flip(name, at);
            }
            let saved = salvage(&scratch);
            if loses_map {
                for line in saved.documents.values().flatten() {
                    assert!(ever.contains(line), "{what}: {line}: {}", saved.report);
                }
            } else {
                saved.assert_within(&model, &what);
            }
            if saved.code == 0 {
                assert!(saved.documents == model, "{what}: {}", saved.report);
            }
        }
    }
}
