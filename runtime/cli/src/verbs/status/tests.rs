//! Tests of the table and of what is listed beneath it.

use super::*;

#[test]
fn a_table_of_pools_and_a_line_for_each_trouble() {
    let page = parse(
        r#"{"workloads":[{"namespace":"team-a","name":"chat","conditions":[
            {"type":"Ready","status":"True","reason":"Ticking","message":""},
            {"type":"MetricsFresh","status":"False","reason":"Stale","message":"queue-depth is 60 s old"},
            {"type":"Paused","status":"False","reason":null,"message":null}],
          "pools":[{"name":"default","min":1,"max":8,"desired":3,"ready":2,"starting":1,"draining":0,"standby":0}],
          "policies":[{"name":"up","policy":"up","digest":"sha256:0123456789abcdef","source":"directory","state":"last-good","message":"the file is empty"}],
          "lastDecision":null}],
          "problems":[{"place":"chat.yaml:3:5","stage":"manifest","message":"unknown field `x`","hint":"remove it"}]}"#,
    );
    let text = render(&page.unwrap(), Paint::PLAIN);
    let expected = "\
WORKLOAD     POOL     MIN  MAX  DESIRED  READY  STARTING  DRAINING  STANDBY  STATE
team-a/chat  default    1    8        3      2         1         0        0  ready

team-a/chat: MetricsFresh=False Stale: queue-depth is 60 s old
team-a/chat: stage up last-good sha256:0123456789ab: the file is empty

Manifests that are not in force as they stand:
chat.yaml:3:5: unknown field `x` [manifest]
  fix: remove it
";
    assert_eq!(text, expected);
    assert_eq!(render(&Workloads::default(), Paint::PLAIN), "no workloads\n");
}
