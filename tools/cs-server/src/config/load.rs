//! Putting the sources together.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Config, Origin, SETTINGS, Setting};

/// The longest configuration file; a real one has a few kilobytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// What variables of ours begin with.
const PREFIX: &str = "CS_";
/// Variables of tests and benches, which are no settings and no mistakes either.
const OTHERS: [&str; 6] = [
    "CS_SERVER",
    "CS_URI",
    "CS_TEST_",
    "CS_BENCH_",
    "CS_SEED",
    "CS_GOLDEN_",
];
/// Says which file to read, and is no setting itself.
const FILE_VARIABLE: &str = "CS_CONFIG";

/// What is wrong with the configuration, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nobody knows the key.
    #[error("{origin}: unknown key {key:?}{}", nearest_text(.nearest.as_deref()))]
    Unknown {
        /// Where.
        origin: Origin,
        /// The key, as it was written.
        key: String,
        /// The nearest that there is.
        nearest: Option<String>,
    },
    /// The value does not fit the key.
    #[error("{origin}: {key} must be {expected}, not {found:?}")]
    Value {
        /// Where.
        origin: Origin,
        /// Of which setting.
        key: &'static str,
        /// What it has to be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// The file cannot be read.
    #[error("configuration file {path}: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Settings that do not go together.
    #[error("{0}")]
    Conflict(String),
}

fn nearest_text(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| {
        format!("; the nearest is {nearest:?}")
    })
}

/// Everything that was said, before it is judged.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Sources {
    /// The configuration file, if one is named.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Settings by flag: key and value.
    pub flags: Vec<(&'static str, String)>,
}

/// A configuration, and where each setting of it was said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The configuration, checked.
    pub config: Config,
    origins: BTreeMap<&'static str, Origin>,
}

impl Loaded {
    /// Where the setting was said.
    #[must_use]
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::Default)
    }

    /// All settings as a configuration file; `with_origin` says where each comes from.
    #[must_use]
    pub fn show(&self, with_origin: bool) -> String {
        let mut text = String::new();
        let mut section = "";
        for setting in SETTINGS {
            let (of, name) = setting.key.split_once('.').unwrap_or(("", setting.key));
            if of != section {
                section = of;
                text.push_str(&format!("\n[{section}]\n"));
            }
            let value = setting.show(&self.config);
            let line = match setting.is_switch || value.parse::<u64>().is_ok() {
                true => format!("{name} = {value}"),
                false => format!("{name} = {}", toml::Value::String(value)),
            };
            text.push_str(&line);
            if with_origin {
                text.push_str(&format!("  # {}", self.origin(setting.key)));
            }
            text.push('\n');
        }
        text
    }
}

/// Puts the sources together and checks what comes out.
///
/// # Errors
/// A key that nobody knows, a value that does not fit, settings that do not go together,
/// or a file that cannot be read.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    let mut said: Vec<(&'static Setting, Origin, String)> = Vec::new();
    let mut file = sources.file.clone();
    for (name, value) in &sources.environment {
        if name.to_str() == Some(FILE_VARIABLE) && file.is_none() {
            file = Some(PathBuf::from(value));
        }
    }
    if let Some(path) = file {
        from_file(path, &mut said)?;
    }
    from_environment(&sources.environment, &mut said)?;
    for (key, value) in &sources.flags {
        let setting = find(key).ok_or_else(|| unknown(Origin::Flag((*key).to_owned()), key))?;
        let origin = Origin::Flag(format!("--{}", setting.flag()));
        said.push((setting, origin, value.clone()));
    }
    assemble(said)
}

/// The defaults, with all that was said over them, the later over the earlier.
fn assemble(said: Vec<(&'static Setting, Origin, String)>) -> Result<Loaded, ConfigError> {
    let is_dev = |(setting, _, _): &&(&Setting, Origin, String)| setting.key == "dev";
    let dev = said
        .iter()
        .rfind(is_dev)
        .is_some_and(|(_, _, text)| text == "true");
    let mut origins = BTreeMap::new();
    let mut config = Config::default();
    if dev {
        config = Config::dev();
        let plain = Config::default();
        let changed = SETTINGS
            .iter()
            .filter(|s| s.show(&plain) != s.show(&config));
        origins.extend(changed.map(|setting| (setting.key, Origin::Dev)));
    }
    for (setting, origin, text) in said {
        if !setting.set(&mut config, &text) {
            return Err(ConfigError::Value {
                origin,
                key: setting.key,
                expected: setting.expected,
                found: text,
            });
        }
        origins.insert(setting.key, origin);
    }
    config.check().map_err(ConfigError::Conflict)?;
    Ok(Loaded { config, origins })
}

fn from_file(
    path: PathBuf,
    said: &mut Vec<(&'static Setting, Origin, String)>,
) -> Result<(), ConfigError> {
    let fault = |reason: String| ConfigError::File {
        path: path.clone(),
        reason,
    };
    let length = std::fs::metadata(&path)
        .map_err(|error| fault(error.to_string()))?
        .len();
    if length > MAX_FILE_BYTES {
        return Err(fault(format!(
            "has {length} bytes, the limit is {MAX_FILE_BYTES}"
        )));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| fault(error.to_string()))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| fault(error.to_string().trim_end().to_owned()))?;
    let origin = Origin::File(Arc::new(path.clone()));
    let mut flat = Vec::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(section) => {
                flat.extend(
                    section
                        .into_iter()
                        .map(|(name, value)| (format!("{key}.{name}"), value)),
                );
            }
            value => flat.push((key, value)),
        }
    }
    for (key, value) in flat {
        let setting = find(&key).ok_or_else(|| unknown(origin.clone(), &key))?;
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(is) => is.to_string(),
            other => {
                return Err(ConfigError::Value {
                    origin,
                    key: setting.key,
                    expected: setting.expected,
                    found: other.to_string(),
                });
            }
        };
        said.push((setting, origin.clone(), text));
    }
    Ok(())
}

fn from_environment(
    environment: &[(OsString, OsString)],
    said: &mut Vec<(&'static Setting, Origin, String)>,
) -> Result<(), ConfigError> {
    for (name, value) in environment {
        let name = name.to_string_lossy();
        let is_other = OTHERS.iter().any(|other| name.starts_with(other));
        if !name.starts_with(PREFIX) || name == FILE_VARIABLE || is_other {
            continue;
        }
        let origin = Origin::Environment(name.clone().into_owned());
        let Some(setting) = SETTINGS.iter().find(|setting| setting.variable() == name) else {
            return Err(unknown(origin, &name));
        };
        said.push((setting, origin, value.to_string_lossy().into_owned()));
    }
    Ok(())
}

fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

fn unknown(origin: Origin, key: &str) -> ConfigError {
    let is_variable = matches!(origin, Origin::Environment(_));
    let names = SETTINGS.iter().map(|setting| match is_variable {
        true => setting.variable(),
        false => setting.key.to_owned(),
    });
    let near = |name: String| {
        // A key is also found where only its section is missing or wrong.
        let alone = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
        let whole = strsim::jaro_winkler(&name, key);
        let last = 0.95 * strsim::jaro_winkler(&alone(&name), &alone(key));
        (whole.max(last), name)
    };
    let nearest = names.map(near).max_by(|a, b| a.0.total_cmp(&b.0));
    ConfigError::Unknown {
        origin,
        key: key.to_owned(),
        nearest: nearest
            .filter(|(score, _)| *score > 0.6)
            .map(|(_, name)| name),
    }
}
