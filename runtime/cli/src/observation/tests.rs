//! Tests of the written form.

use super::*;

#[test]
fn what_is_left_out_is_empty_and_the_proposal_is_what_is_desired() {
    let text = "pools: [{max: 8, desired: 2, ready: 2, readyAt: [2026-01-01T00:00:01Z]}]\n\
                series: [{signal: queue-depth, values: [1, null, 2.5], age: 250ms, labels: {pool: default}}]\n\
                now: 2026-01-01T00:00:00Z\ninterval: 5000\n";
    let seen = serde_saphyr::from_str::<ObservationFile>(text).unwrap().into_observation();
    assert_eq!((seen.now, seen.interval), (Time(1_767_225_600_000), Span(5000)));
    assert_eq!(seen.pools[0].ready_at, [seen.now + Span(1000)]);
    let series = &seen.series[0];
    assert_eq!((series.values[0], series.values[1].is_nan(), series.values[2]), (1.0, true, 2.5));
    assert_eq!((series.age, series.step, series.coverage), (Span(250), Span(15_000), 1.0));
    let proposed = [("default", Tier::Serving, 2), ("default", Tier::Standby, 0)];
    let proposed = proposed.map(|(pool, tier, replicas)| Target { pool: pool.to_owned(), tier, replicas });
    assert_eq!(seen.proposed, proposed);
}

#[test]
fn a_misspelt_field_is_an_error_that_names_it() {
    let error = serde_saphyr::from_str::<ObservationFile>("pools: []\nserie: []\n").unwrap_err().to_string();
    assert!(error.contains("serie"), "{error}");
}
