//! The Gregorian calendar, extended both ways without end.
//!
//! Days are counted from 1 January 1970; everything is whole numbers of 64
//! bits, far from overflow for any date of BSON.

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The day of a date, and the milliseconds in it.
pub(crate) fn split(milliseconds: i64) -> (i64, i64) {
    (
        milliseconds.div_euclid(DAY_MS),
        milliseconds.rem_euclid(DAY_MS),
    )
}

/// The day of a year, month and day of month; the latter two may lie outside of
/// their ranges.
pub(crate) fn to_days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March, so that the odd day of leap years comes last.
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468 + (day - 1)
}

/// Year, month and day of month of a day.
pub(crate) fn from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// From 1 for Monday to 7 for Sunday.
pub(crate) fn iso_weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

/// From 1.
pub(crate) fn day_of_year(days: i64) -> i64 {
    let (year, _, _) = from_days(days);
    days - to_days(year, 1, 1) + 1
}

/// The year that the week belongs to, and the week, from 1.
pub(crate) fn iso_week(days: i64) -> (i64, i64) {
    // A week belongs to the year of its Thursday.
    let thursday = days + 4 - iso_weekday(days);
    let (year, _, _) = from_days(thursday);
    (year, (thursday - to_days(year, 1, 1)) / 7 + 1)
}

/// The day of a week of a year and a day of that week, any of which may lie
/// outside of its range.
pub(crate) fn from_iso_week(year: i64, week: i64, weekday: i64) -> i64 {
    let fourth = to_days(year, 1, 4);
    fourth - iso_weekday(fourth) + (week - 1) * 7 + weekday
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    to_days(year, month + 1, 1) - to_days(year, month, 1)
}
