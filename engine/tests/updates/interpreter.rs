//! A slow and obvious interpreter of updates, over documents in memory.
//!
//! It applies one path after the other to a [`Document`] and knows no trees and no
//! bytes. It has the core operators, names, positions and `$[]`; no decimals.

use bson::{Bson, Document};
use collection_store::values::{OwnedValue, compare};

/// One operator at one path.
struct Change<'a> {
    path: Vec<&'a str>,
    operator: &'a str,
    operand: &'a Bson,
    /// Of `$rename`.
    from: Vec<&'a str>,
}

/// What becomes of the value at the end of a path.
enum Leaf {
    Keep,
    Set(Bson),
    Remove,
}

/// The document after the update, or MongoDB's code of the error.
pub(crate) fn interpret(update: &Document, document: &Document) -> Result<Document, i32> {
    let mut changes = Vec::new();
    let mut paths: Vec<Vec<&str>> = Vec::new();
    for (operator, fields) in update {
        for (path, operand) in fields.as_document().unwrap() {
            let mut path: Vec<&str> = path.split('.').collect();
            let mut from = Vec::new();
            if operator == "$rename" {
                from = path;
                path = operand.as_str().unwrap().split('.').collect();
                if from.starts_with(&path) || path.starts_with(&from) {
                    return Err(2);
                }
                reserve(&mut paths, &from)?;
            }
            reserve(&mut paths, &path)?;
            changes.push(Change {
                path,
                operator,
                operand,
                from,
            });
        }
    }
    changes.sort_by(|left, right| {
        let pairs = left.path.iter().zip(&right.path);
        let mut orders = pairs.map(|(left, right)| {
            let numbers = (left.parse::<u32>(), right.parse::<u32>());
            match numbers {
                (Ok(left), Ok(right)) => left.cmp(&right),
                _ => left.cmp(right),
            }
        });
        orders.find(|order| order.is_ne()).unwrap()
    });
    let mut root = Bson::Document(document.clone());
    // Sources are looked at before anything changes; errors wait for their turn.
    let sources: Vec<_> = changes.iter().map(|one| source(&root, one)).collect();
    for (change, source) in changes.iter().zip(sources) {
        if change.operator == "$rename" {
            if let Some(value) = source? {
                rename(&mut root, change, &value)?;
            }
        } else {
            apply(&mut root, &change.path, change)?;
        }
    }
    match root {
        Bson::Document(document) => Ok(document),
        _ => unreachable!(),
    }
}

/// Takes note of a path, which must not meet an earlier one.
fn reserve<'a>(paths: &mut Vec<Vec<&'a str>>, path: &[&'a str]) -> Result<(), i32> {
    if paths.iter().any(|other| clash(other, path)) {
        return Err(40);
    }
    paths.push(path.to_vec());
    Ok(())
}

/// One is the other, or above it; or one takes for an array what the other does not.
fn clash(left: &[&str], right: &[&str]) -> bool {
    for (left, right) in left.iter().zip(right) {
        if left != right {
            return (*left == "$[]") != (*right == "$[]");
        }
    }
    true
}

/// What a `$rename` moves.
fn source(root: &Bson, change: &Change<'_>) -> Result<Option<Bson>, i32> {
    let mut node = root;
    let mut through_array = false;
    for step in &change.from {
        let child = match node {
            Bson::Document(document) => document.get(*step),
            Bson::Array(array) => {
                through_array = true;
                array.get(step.parse::<usize>().map_err(|_| 28)?)
            }
            _ => return Err(28),
        };
        let Some(child) = child else { return Ok(None) };
        node = child;
    }
    if through_array {
        return Err(2);
    }
    Ok(Some(node.clone()))
}

fn rename(root: &mut Bson, change: &Change<'_>, value: &Bson) -> Result<(), i32> {
    let mut target = &*root;
    for step in &change.path {
        let child = match target {
            Bson::Document(document) => document.get(*step),
            Bson::Array(_) => return Err(2),
            _ => None,
        };
        let Some(child) = child else { break };
        target = child;
    }
    let set = Change {
        path: change.path.clone(),
        operator: "$replace",
        operand: value,
        from: Vec::new(),
    };
    apply(root, &set.path, &set)?;
    let unset = Change {
        path: change.from.clone(),
        operator: "$unset",
        operand: &Bson::Null,
        from: Vec::new(),
    };
    apply(root, &unset.path, &unset)
}

fn apply(node: &mut Bson, path: &[&str], change: &Change<'_>) -> Result<(), i32> {
    let (step, rest) = path.split_first().unwrap();
    match node {
        Bson::Array(array) if *step == "$[]" => {
            for element in array {
                if rest.is_empty() {
                    settle(element, change)?;
                } else {
                    apply(element, rest, change)?;
                }
            }
            Ok(())
        }
        _ if *step == "$[]" => Err(2),
        Bson::Document(document) => {
            if let Some(child) = document.get_mut(*step) {
                if !rest.is_empty() {
                    return apply(child, rest, change);
                }
                if settle(child, change)? {
                    document.remove(*step);
                }
            } else if let Some(made) = make(rest, change)? {
                document.insert(*step, made);
            }
            Ok(())
        }
        Bson::Array(array) if step.parse::<usize>().is_ok() => {
            let position = step.parse::<usize>().unwrap();
            if let Some(child) = array.get_mut(position) {
                if !rest.is_empty() {
                    return apply(child, rest, change);
                }
                settle(child, change)?;
            } else if let Some(made) = make(rest, change)? {
                array.resize(position, Bson::Null);
                array.push(made);
            }
            Ok(())
        }
        _ if rest.contains(&"$[]") => Err(2),
        _ if change.operator == "$unset" => Ok(()),
        _ => Err(28),
    }
}

/// The leaf, on a value that is there; whether it has to go from a document.
fn settle(value: &mut Bson, change: &Change<'_>) -> Result<bool, i32> {
    match leaf(Some(value), change)? {
        Leaf::Keep => {}
        Leaf::Set(new) => *value = new,
        Leaf::Remove => {
            // What is in an array becomes null; a document takes it out.
            *value = Bson::Null;
            return Ok(true);
        }
    }
    Ok(false)
}

/// What the change makes where there is nothing: its value inside of new documents.
fn make(rest: &[&str], change: &Change<'_>) -> Result<Option<Bson>, i32> {
    if rest.contains(&"$[]") {
        return Err(2);
    }
    let Leaf::Set(mut made) = leaf(None, change)? else {
        return Ok(None);
    };
    for step in rest.iter().rev() {
        let mut document = Document::new();
        document.insert(*step, made);
        made = Bson::Document(document);
    }
    Ok(Some(made))
}

fn order(left: &Bson, right: &Bson) -> std::cmp::Ordering {
    let (left, right) = (
        OwnedValue::try_from(left).unwrap(),
        OwnedValue::try_from(right).unwrap(),
    );
    compare(left.as_raw(), right.as_raw())
}

fn leaf(value: Option<&Bson>, change: &Change<'_>) -> Result<Leaf, i32> {
    let operand = change.operand;
    let array = |code: i32| match value {
        None => Ok(None),
        Some(Bson::Array(array)) => Ok(Some(array.clone())),
        Some(_) => Err(code),
    };
    Ok(match change.operator {
        "$set" | "$replace" => Leaf::Set(operand.clone()),
        "$unset" => match value {
            Some(_) => Leaf::Remove,
            None => Leaf::Keep,
        },
        "$min" | "$max" => {
            let wins = value.is_none_or(|value| match change.operator {
                "$min" => order(operand, value).is_lt(),
                _ => order(operand, value).is_gt(),
            });
            if wins {
                Leaf::Set(operand.clone())
            } else {
                Leaf::Keep
            }
        }
        "$inc" | "$mul" => number(value, operand, change.operator == "$inc")?,
        "$push" => {
            let mut all = array(2)?.unwrap_or_default();
            push(&mut all, operand);
            Leaf::Set(Bson::Array(all))
        }
        "$addToSet" => {
            let mut all = array(2)?.unwrap_or_default();
            if !all.iter().any(|old| order(old, operand).is_eq()) {
                all.push(operand.clone());
            }
            Leaf::Set(Bson::Array(all))
        }
        "$pullAll" => match array(2)? {
            None => Leaf::Keep,
            Some(mut all) => {
                let gone = operand.as_array().unwrap();
                all.retain(|old| !gone.iter().any(|gone| order(old, gone).is_eq()));
                Leaf::Set(Bson::Array(all))
            }
        },
        "$pop" => match array(14)? {
            None => Leaf::Keep,
            Some(mut all) => {
                if operand.as_i32() == Some(1) {
                    all.pop();
                } else if !all.is_empty() {
                    all.remove(0);
                }
                Leaf::Set(Bson::Array(all))
            }
        },
        other => panic!("no such operator: {other}"),
    })
}

fn push(all: &mut Vec<Bson>, operand: &Bson) {
    let clauses = operand
        .as_document()
        .filter(|all| all.contains_key("$each"));
    let Some(clauses) = clauses else {
        all.push(operand.clone());
        return;
    };
    let at = match clauses.get_i32("$position") {
        Err(_) => all.len(),
        Ok(at) if at >= 0 => all.len().min(at as usize),
        Ok(at) => all.len().saturating_sub(at.unsigned_abs() as usize),
    };
    let each = clauses.get_array("$each").unwrap();
    all.splice(at..at, each.iter().cloned());
    match clauses.get_i32("$sort") {
        Ok(1) => all.sort_by(order),
        Ok(_) => all.sort_by(|left, right| order(right, left)),
        Err(_) => {}
    }
    match clauses.get_i32("$slice") {
        Ok(keep) if keep >= 0 => all.truncate(keep as usize),
        Ok(keep) => {
            let drop = all.len().saturating_sub(keep.unsigned_abs() as usize);
            all.drain(..drop);
        }
        Err(_) => {}
    }
}

fn number(value: Option<&Bson>, operand: &Bson, is_sum: bool) -> Result<Leaf, i32> {
    let old = match value {
        Some(value) => value.clone(),
        None if is_sum => return Ok(Leaf::Set(operand.clone())),
        None => Bson::Int32(0),
    };
    let whole = |value: &Bson| match value {
        Bson::Int32(number) => Some(i128::from(*number)),
        Bson::Int64(number) => Some(i128::from(*number)),
        _ => None,
    };
    let real = |value: &Bson| match value {
        Bson::Double(number) => Some(*number),
        _ => whole(value).map(|number| number as f64),
    };
    let (Some(left), Some(right)) = (real(&old), real(operand)) else {
        return Err(14);
    };
    let new = match (whole(&old), whole(operand)) {
        (Some(left), Some(right)) => {
            let result = if is_sum { left + right } else { left * right };
            let narrow = matches!((&old, operand), (Bson::Int32(_), Bson::Int32(_)));
            match i32::try_from(result) {
                Ok(small) if narrow => Bson::Int32(small),
                _ => Bson::Int64(i64::try_from(result).map_err(|_| 2)?),
            }
        }
        _ => {
            let result = if is_sum { left + right } else { left * right };
            // There is one NaN.
            Bson::Double(if result.is_nan() { f64::NAN } else { result })
        }
    };
    let is_same = value
        .is_some_and(|old| old.element_type() == new.element_type() && order(old, &new).is_eq());
    Ok(if is_same { Leaf::Keep } else { Leaf::Set(new) })
}
