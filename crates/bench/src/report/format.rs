//! Numbers as people read them: three digits, a unit, and a space that does not break.

/// Three significant digits, without an exponent.
pub(super) fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let whole = value.abs().log10().floor() as i32 + 1;
    let places = (3 - whole).clamp(0, 9) as usize;
    let text = format!("{value:.places$}");
    // 9.999 has become 10.00, which is a digit more than asked for.
    match text.trim_start_matches('-').chars().filter(char::is_ascii_digit).count() {
        4 if places > 0 && value.abs() >= 1.0 => format!("{value:.0$}", places - 1),
        _ => text,
    }
}

/// As [`digits`], without zeros at the end: for axes.
pub(super) fn short(value: f64) -> String {
    let text = digits(value);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn scaled(value: f64, units: &[(f64, &str)], number: fn(f64) -> String) -> String {
    let fits = units.iter().find(|(size, _)| value.abs() >= *size).or(units.last());
    match fits {
        Some((size, unit)) => format!("{}\u{a0}{unit}", number(value / size)),
        None => number(value),
    }
}

const TIMES: [(f64, &str); 4] = [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")];
const SIZES: [(f64, &str); 4] = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")];
const RATES: [(f64, &str); 5] = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];

/// Nanoseconds.
pub(super) fn time(ns: f64) -> String {
    scaled(ns, &TIMES, digits)
}

/// Nanoseconds, for axes.
pub(super) fn time_short(ns: f64) -> String {
    scaled(ns, &TIMES, short)
}

/// Bytes.
pub(super) fn bytes(count: f64) -> String {
    match count < 1000.0 {
        true => format!("{count:.0}\u{a0}B"),
        false => scaled(count, &SIZES, digits),
    }
}

/// Bytes, for axes.
pub(super) fn bytes_short(count: f64) -> String {
    scaled(count, &SIZES, short)
}

/// A number with a prefix such as G, to be followed by a unit.
pub(super) fn rate(value: f64) -> String {
    scaled(value, &RATES, digits)
}

/// As [`rate`], for axes.
pub(super) fn rate_short(value: f64) -> String {
    scaled(value, &RATES, short)
}

/// A multiple: `1.87×`.
pub(super) fn times(value: f64) -> String {
    format!("{}×", multiple(value))
}

/// As [`times`], for axes.
pub(super) fn times_short(value: f64) -> String {
    format!("{}×", short(value))
}

/// A multiple without its sign: two places, or three digits where that says more.
pub(super) fn multiple(value: f64) -> String {
    match value {
        0.1..10.0 => format!("{value:.2}"),
        _ => digits(value),
    }
}

/// A share, in percent.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        0.0..10.0 => format!("{percent:.1}\u{a0}%"),
        _ => format!("{percent:.0}\u{a0}%"),
    }
}

/// A day and a minute, in UTC, or the seconds where they are beyond the calendar.
pub(super) fn date(seconds: u64) -> String {
    /// The last second of the year 9999.
    const LAST: u64 = 253_402_300_799;
    if seconds > LAST {
        return format!("{seconds} s after 1970");
    }
    let moment = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let text = humantime::format_rfc3339_seconds(moment).to_string();
    format!("{}\u{a0}UTC", text[..16].replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        let of = [0.0, 0.01234, 0.5, 1.0, 9.999, 12.34, 999.6, 12345.0];
        let text = of.map(digits);
        assert_eq!(text, ["0", "0.0123", "0.500", "1.00", "10.0", "12.3", "1000", "12345"]);
        assert_eq!([0.5, 20.0, 100.0].map(short), ["0.5", "20", "100"]);
    }

    #[test]
    fn units_fit() {
        assert_eq!(time(0.25), "0.250\u{a0}ns");
        assert_eq!(time(1234.0), "1.23\u{a0}µs");
        assert_eq!(time(5e12), "5000\u{a0}s");
        assert_eq!(bytes(812.0), "812\u{a0}B");
        assert_eq!(bytes(81_200.0), "81.2\u{a0}kB");
        assert_eq!(rate_short(5e10), "50\u{a0}G");
        assert_eq!(percent(0.004), "0.4\u{a0}%");
        assert_eq!([0.05, 1.0, 12.0].map(multiple), ["0.0500", "1.00", "12.0"]);
    }

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01 00:00\u{a0}UTC");
        assert_eq!(date(1_795_289_263), "2026-11-21 19:27\u{a0}UTC");
        assert_eq!(date(u64::MAX), format!("{} s after 1970", u64::MAX));
    }
}
