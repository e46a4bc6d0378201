#![allow(clippy::unwrap_used, reason = "a test may panic, helpers included")]

use super::civil;

#[test]
fn days_and_calendar_dates_are_one_to_one() {
    for days in (-1_000_000..1_000_000).step_by(37) {
        let (year, month, day) = civil::from_days(days);
        assert_eq!(civil::to_days(year, month, day), days);
        let (iso_year, week) = civil::iso_week(days);
        let weekday = civil::iso_weekday(days);
        assert_eq!(civil::from_iso_week(iso_year, week, weekday), days);
    }
    assert_eq!(civil::from_days(0), (1970, 1, 1));
    assert_eq!(civil::from_days(11_016), (2000, 2, 29));
    assert_eq!(civil::iso_weekday(0), 4);
}
