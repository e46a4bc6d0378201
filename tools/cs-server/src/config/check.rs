//! Settings that do not go together.

use std::net::IpAddr;

use super::{Config, MAX_SCRAM_ITERATIONS, MIN_SCRAM_ITERATIONS};

/// No command fits into less.
const MIN_MESSAGE_BYTES: u64 = 1024;
/// What hello says to drivers, which build messages of this size.
const MAX_MESSAGE_BYTES: u64 = 48_000_000;

impl Config {
    /// Whether the settings go together; if not, why.
    ///
    /// # Errors
    /// The reason, with the settings concerned by name.
    pub fn check(&self) -> Result<(), String> {
        self.check_exposure()?;
        self.check_tls()?;
        self.check_security()?;
        self.check_limits()?;
        match self.replica_set.is_empty() || self.replica_set.contains(['/', ',']) {
            true => Err(format!(
                "replica_set must be a name without '/' and ',', not {:?}",
                self.replica_set
            )),
            false => Ok(()),
        }
    }

    /// The settings that make the server less safe than it is by itself.
    #[must_use]
    pub fn unsafe_settings(&self) -> Vec<&'static str> {
        let security = &self.security;
        [
            ("dev", self.dev),
            ("security.authentication = false", !security.authentication),
            (
                "security.unsafe_no_tls_off_host",
                security.unsafe_no_tls_off_host,
            ),
            (
                "security.unsafe_no_authentication_off_host",
                security.unsafe_no_authentication_off_host,
            ),
            ("http.unsafe_off_host", self.http.unsafe_off_host),
            ("test_commands", self.test_commands),
        ]
        .into_iter()
        .filter_map(|(name, is_set)| is_set.then_some(name))
        .collect()
    }

    /// Nothing leaves the host but encrypted and with authentication.
    fn check_exposure(&self) -> Result<(), String> {
        let security = &self.security;
        if self.dev && is_off_host(self.bind) {
            return Err(format!(
                "dev means loopback, but bind is {}: leave dev out to serve others",
                self.bind
            ));
        }
        if is_off_host(self.bind) {
            let bind = self.bind;
            if !self.has_tls() && !security.unsafe_no_tls_off_host {
                return Err(format!(
                    "bind is {bind}, which others can reach: set tls.certificate and tls.key \
                     (or security.unsafe_no_tls_off_host, and everybody on the way can read along)"
                ));
            }
            if !security.authentication && !security.unsafe_no_authentication_off_host {
                return Err(format!(
                    "bind is {bind}, which others can reach: set security.authentication (or \
                     security.unsafe_no_authentication_off_host, and everybody may do everything)"
                ));
            }
        }
        if self.http.enabled && is_off_host(self.http.bind) && !self.http.unsafe_off_host {
            return Err(format!(
                "http.bind is {}, which others can reach, and the listener of figures has neither \
                 encryption nor authentication: set http.unsafe_off_host if the network is trusted",
                self.http.bind
            ));
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), String> {
        let tls = &self.tls;
        if tls.certificate.is_some() != tls.key.is_some() {
            return Err("tls.certificate and tls.key are set together or not at all".to_owned());
        }
        if tls.client_ca.is_some() && tls.certificate.is_none() {
            return Err("tls.client_ca is set, but there is no tls.certificate".to_owned());
        }
        match tls.require_client_certificate && tls.client_ca.is_none() {
            true => Err(
                "tls.require_client_certificate is set, but there is no tls.client_ca \
                         to check certificates with"
                    .to_owned(),
            ),
            false => Ok(()),
        }
    }

    fn check_security(&self) -> Result<(), String> {
        let security = &self.security;
        let iterations = security.scram_iterations;
        if !(MIN_SCRAM_ITERATIONS..=MAX_SCRAM_ITERATIONS).contains(&iterations) {
            return Err(format!(
                "security.scram_iterations must be from {MIN_SCRAM_ITERATIONS} to \
                 {MAX_SCRAM_ITERATIONS}, not {iterations}"
            ));
        }
        match security.bootstrap_user.is_some() != security.bootstrap_password_file.is_some() {
            true => Err(
                "security.bootstrap_user and security.bootstrap_password_file are set \
                         together or not at all"
                    .to_owned(),
            ),
            false => Ok(()),
        }
    }

    fn check_limits(&self) -> Result<(), String> {
        let limits = &self.limits;
        let counts = [
            ("limits.connections", limits.connections),
            (
                "limits.unauthenticated_connections",
                limits.unauthenticated_connections,
            ),
            ("limits.cursors", limits.cursors),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("{name} must be 1 at least, not 0"));
        }
        let times = [
            (
                "limits.authentication_timeout",
                limits.authentication_timeout,
            ),
            ("limits.idle_timeout", limits.idle_timeout),
            ("limits.cursor_timeout", limits.cursor_timeout),
            ("engine.flush_interval", self.engine.flush_interval),
            ("engine.expire_interval", self.engine.expire_interval),
        ];
        if let Some((name, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return Err(format!("{name} must be longer than 0"));
        }
        let sizes = [
            (
                "limits.unauthenticated_message",
                limits.unauthenticated_message,
            ),
            ("limits.message", limits.message),
        ];
        let range = MIN_MESSAGE_BYTES..=MAX_MESSAGE_BYTES;
        match sizes.iter().find(|(_, size)| !range.contains(&size.get())) {
            Some((name, size)) => Err(format!(
                "{name} must be from {MIN_MESSAGE_BYTES} to {MAX_MESSAGE_BYTES} bytes, not {}",
                size.get()
            )),
            None => Ok(()),
        }
    }
}

/// Whether others can reach what listens there.
fn is_off_host(address: IpAddr) -> bool {
    !address.is_loopback()
}
