//! `map`: a picture of the data file.

mod colours;
mod draw;
mod svg;

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::census::Census;
use crate::cli::{Global, MapArgs};
use crate::error::{InspectError, Result};
use crate::finding::Finding;
use crate::output::{self, Report, code_of_findings, count};
use crate::owners::Owners;
use crate::pages::PageFile;
use crate::passes::{Suspects, settle};
use crate::place::Place;
use crate::progress::Progress;

use svg::Picture;

struct Map {
    census: Census,
    owners: Owners,
}

impl Suspects for Map {
    fn identities(&self) -> Vec<String> {
        self.census.findings.identities()
    }

    fn keep(&mut self, confirmed: &dyn Fn(&str) -> bool) {
        self.census.findings.keep(confirmed);
    }
}

/// What was drawn.
struct Drawn {
    file: String,
    pages: u64,
    cells: u64,
    pages_per_cell: u64,
    findings: Vec<Finding>,
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &MapArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    refuse_inside(&place, &arguments.svg)?;
    let progress = Progress::new(global.progress);
    let map = settle(global.timeout, || {
        let file = PageFile::open(&*place.disk())?;
        let census = Census::take(&file, &progress, &mut |_, _, _| {})?;
        let owners = Owners::read(&file, &census.root);
        Ok(Map { census, owners })
    })?;
    drop(progress);
    let title = place.path().display().to_string();
    let picture = Picture::of(&map.census, &map.owners);
    write_whole(&arguments.svg, &picture.draw(&title))?;
    let drawn = Drawn {
        file: arguments.svg.display().to_string(),
        pages: map.census.facts.len() as u64,
        cells: picture.cells.len() as u64,
        pages_per_cell: picture.pages_per_cell,
        findings: map.census.findings,
    };
    output::print(&drawn, global.format)
}

/// The picture is no file of the database.
fn refuse_inside(place: &Place, file: &Path) -> Result<()> {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let same = match (parent.canonicalize(), place.path().canonicalize()) {
        (Ok(parent), Ok(database)) => parent == database,
        _ => false,
    };
    if same {
        return Err(InspectError::Usage(format!(
            "--svg: {} would lie among the files of the database",
            file.display()
        )));
    }
    Ok(())
}

/// Writes a file that appears under its name when it is whole.
fn write_whole(path: &Path, text: &str) -> Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let mut file =
        NamedTempFile::new_in(parent).map_err(InspectError::at("making a file in", parent))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)
        .map_err(|error| InspectError::at("writing", path)(error.error))?;
    Ok(())
}

impl Report for Drawn {
    fn json(&self) -> Value {
        json!({
            "file": self.file,
            "pages": self.pages,
            "cells": self.cells,
            "pages_per_cell": self.pages_per_cell,
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{}: {} in {}, {} each",
            self.file,
            count(self.pages, "page"),
            count(self.cells, "cell"),
            count(self.pages_per_cell, "page")
        )?;
        for finding in &self.findings {
            writeln!(out, "{}", finding.line())?;
        }
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        code_of_findings(self.findings.is_empty())
    }
}
