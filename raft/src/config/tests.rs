use super::*;

type Spoil = fn(&mut Config);

#[test]
fn options_that_cannot_work_are_refused_by_name() {
    let refused = |spoil: Spoil| {
        let mut config = Config::new(NodeId(1), 1);
        spoil(&mut config);
        config.check().unwrap_err().to_string()
    };
    let fast = Lease {
        max_drift_per_mille: 501,
    };
    assert!(refused(|config| config.heartbeat_interval = Duration::ZERO).contains("heartbeat"));
    let short = |config: &mut Config| config.election_timeout = Duration::from_millis(99);
    assert!(refused(short).contains("election_timeout"));
    assert!(refused(|config| config.transfer_timeout = Duration::ZERO).contains("transfer"));
    assert!(refused(|config| config.window_bytes = 0).contains("limit"));
    let mut config = Config::new(NodeId(1), 1);
    config.lease = Some(fast);
    assert!(config.check().is_err());
}
