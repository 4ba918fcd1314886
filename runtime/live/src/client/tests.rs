#![allow(clippy::unwrap_used)] // a test may fail

use std::path::Path;

use super::*;

pub(crate) mod wire;

use wire::{Step, Wire, answer};

const LIMIT: usize = 1000;

/// Long enough for a machine that is busy with other tests.
const PATIENT: Duration = Duration::from_secs(30);

async fn get(client: &Client, url: &str, timeout: Duration) -> Result<Response, ClientError> {
    let url = parse_url(url).unwrap();
    client.send(Request { timeout, max_bytes: LIMIT, ..Request::new(Method::GET, &url) }).await
}

#[tokio::test]
async fn answers_are_read_whole_over_one_connection() {
    let wire =
        Wire::start(|seen| answer("200 OK", "text/plain", if seen.head.contains("/a") { "one" } else { "" })).await;
    let client = Client::new();
    for path in ["/a?x=1", "/b", "/a"] {
        let response = get(&client, &format!("{}{path}", wire.url), PATIENT).await.unwrap();
        let body = if path == "/b" { "" } else { "one" };
        assert_eq!((response.status.as_u16(), &response.body[..]), (200, body.as_bytes()));
        assert_eq!(response.content_type.as_deref(), Some("text/plain"));
    }
    assert_eq!(wire.connections(), 1);
    let seen = &wire.seen()[0];
    assert!(seen.head.starts_with("GET /a?x=1 HTTP/1.1\r\n"), "{}", seen.head);
    assert_eq!(seen.header("user-agent"), Some(concat!("trimtab/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(seen.header("accept-encoding"), None);
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn a_body_is_sent_with_its_type() {
    let wire = Wire::start(|_| answer("204 No Content", "text/plain", "")).await;
    let url = parse_url(&wire.url).unwrap();
    let json = Some(Bytes::from_static(b"{\"n\":1}"));
    let put = Request { json, ..Request::new(Method::PUT, &url) };
    assert_eq!(Client::new().send(put).await.unwrap().status, 204);
    Client::new().send(Request::new(Method::POST, &url)).await.unwrap();
    let seen = wire.seen();
    assert_eq!((seen[0].body.as_str(), seen[0].header("content-type")), ("{\"n\":1}", Some("application/json")));
    assert_eq!((seen[1].body.as_str(), seen[1].header("content-type")), ("", None));
    assert_eq!(seen[1].header("content-length"), Some("0"));
}

#[tokio::test]
async fn a_body_of_exactly_the_limit_fits() {
    for (length, fits) in [(LIMIT, true), (LIMIT + 1, false)] {
        for chunked in [false, true] {
            let wire = Wire::start(move |_| {
                let body = "x".repeat(length);
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
                let stream = format!("{head}{length:x}\r\n{body}\r\n0\r\n\r\n");
                if chunked { vec![Step::Say(stream.into())] } else { answer("200 OK", "text/plain", &body) }
            })
            .await;
            let outcome = get(&Client::new(), &wire.url, PATIENT).await;
            match outcome {
                Ok(response) => assert!(fits && response.body.len() == length),
                Err(error) => assert!(!fits && error.code() == "too-large", "{error}"),
            }
        }
    }
}

/// What a server does, and what the client makes of it: the code, and a part of the message.
#[tokio::test]
async fn every_wrong_answer_has_its_own_code() {
    let say = |text: &str| Step::Say(text.into());
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://far.example/x?key=hunter2\r\ncontent-length: 0\r\n\r\n";
    let cases = [
        (vec![say(redirect)], "status", "answered 302 Found, a redirect to http://far.example/x; redirects are not"),
        (
            answer("503 Service Unavailable", "text/plain", "\n loading\u{1b}[2J\nmore"),
            "status",
            "answered 503 Service Unavailable: loading\\u{1b}[2J",
        ),
        (answer("404 Not Found", "text/plain", ""), "status", "answered 404 Not Found"),
        (
            vec![
                say(chunked),
                Step::Flood(b"40\r\n0123456789012345678901234567890123456789012345678901234567890123\r\n".to_vec()),
            ],
            "too-large",
            "larger than 1000 bytes",
        ),
        (
            vec![say("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n"), Step::Hang],
            "too-large",
            "larger than 1000 bytes",
        ),
        (
            vec![say("HTTP/1.1 500 Oh\r\ntransfer-encoding: chunked\r\n\r\n"), Step::Flood(b"4\r\nno! \r\n".to_vec())],
            "status",
            "answered 500 Internal Server Error: no! no!",
        ),
        (vec![say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), Step::Close], "other", "the exchange broke ("),
        (vec![Step::Close], "other", "connection closed before message completed"),
        (vec![say("SSH-2.0-OpenSSH\r\n\r\n"), Step::Hang], "other", "invalid HTTP version"),
    ];
    for (steps, code, part) in cases {
        let wire = Wire::start(move |_| steps.clone()).await;
        let error = get(&Client::new(), &format!("{}/m?token=hunter2", wire.url), PATIENT).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("{}/m: ", wire.url)) && text.contains(part), "{text}");
        assert!(!text.contains("hunter2") && text.len() < 1024, "{text}");
    }
}

#[tokio::test]
async fn a_reset_in_the_middle_is_told() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf";
    let wire = Wire::resetting(move |_| vec![Step::Say(half.into()), Step::Close]).await;
    let error = get(&Client::new(), &wire.url, PATIENT).await.unwrap_err();
    assert_eq!(error.code(), "other");
    assert!(error.to_string().contains("reset"), "{error}");
}

#[tokio::test]
async fn silence_ends_with_the_time() {
    let say = |text: &str| Step::Say(text.into());
    let silent = [
        vec![Step::Hang],
        vec![say("HTTP/1.1 200 OK\r\ncontent-le"), Step::Hang],
        vec![say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf"), Step::Hang],
        vec![say("HTTP/1.1 503 No\r\ncontent-length: 10\r\n\r\nhalf"), Step::Hang],
    ];
    for steps in silent {
        let wire = Wire::start(move |_| steps.clone()).await;
        let error = get(&Client::new(), &wire.url, Duration::from_millis(200)).await.unwrap_err();
        assert_eq!(error.code(), "timeout", "{error}");
        assert!(error.to_string().contains("no whole answer within 200ms"), "{error}");
        wire::until("the client gives the connection up", || wire.left() == 1).await;
    }
}

#[tokio::test]
async fn nobody_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = get(&Client::new(), &format!("http://{free}/"), PATIENT).await.unwrap_err();
    assert_eq!(error.code(), "connect");
    let text = error.to_string();
    assert!(text.starts_with(&format!("http://{free}: cannot connect (Connection refused")), "{text}");
}

#[tokio::test]
async fn secrets_are_read_at_every_request() {
    let wire = Wire::start(|_| answer("200 OK", "text/plain", "")).await;
    let url = parse_url(&wire.url).unwrap();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("token");
    let bearer = AuthSpec::Bearer { file: file.clone() };
    let header = AuthSpec::Header { name: HeaderName::from_static("x-key"), file: file.clone() };
    let client = Client::new();
    for (text, sent) in [("one\n", "one"), ("  two  \r\n\n", "two")] {
        std::fs::write(&file, text).unwrap();
        client.send(Request { auth: Some(&bearer), ..Request::new(Method::GET, &url) }).await.unwrap();
        client.send(Request { auth: Some(&header), ..Request::new(Method::GET, &url) }).await.unwrap();
        let seen = wire.seen();
        let [.., first, second] = &seen[..] else { panic!("{seen:?}") };
        assert_eq!(first.header("authorization"), Some(format!("Bearer {sent}").as_str()));
        assert_eq!((second.header("x-key"), second.header("authorization")), (Some(sent), None));
    }
    let long = "x".repeat(20_000);
    let wrong = [
        ("", "is empty"),
        (" \n", "is empty"),
        ("a\nhunter2: b", "line break"),
        ("a\u{7}b", "control"),
        (long.as_str(), "larger than"),
    ];
    for (text, part) in wrong {
        std::fs::write(&file, text).unwrap();
        let error = client.send(Request { auth: Some(&bearer), ..Request::new(Method::GET, &url) }).await.unwrap_err();
        assert_eq!(error.code(), "auth", "{text:?}: {error}");
        let message = error.to_string();
        assert!(message.contains(part) && message.contains(&*file.to_string_lossy()), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    std::fs::remove_file(&file).unwrap();
    let error = client.send(Request { auth: Some(&bearer), ..Request::new(Method::GET, &url) }).await.unwrap_err();
    assert_eq!(error.code(), "auth", "{error}");
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
    let error = client.send(Request { auth: Some(&bearer), ..Request::new(Method::GET, &url) }).await.unwrap_err();
    assert!(error.code() == "auth" && error.to_string().contains("not a regular file"), "{error}");
    assert_eq!(wire.seen().len(), 4, "nothing is asked without the secret");
}

async fn get_trusting(client: &Client, url: &Uri, file: Option<&Path>) -> Result<Response, ClientError> {
    let tls = TlsSpec { ca_file: file.map(Path::to_owned) };
    client.send(Request { tls: &tls, timeout: PATIENT, ..Request::new(Method::GET, url) }).await
}

/// As a rotation does it: a new file takes the name of the old one.
fn replace(file: &Path, contents: &[u8]) {
    let new = file.with_extension("new");
    std::fs::write(&new, contents).unwrap();
    std::fs::rename(new, file).unwrap();
}

#[tokio::test]
async fn only_the_authority_named_is_trusted_and_read_again_when_it_changes() {
    let (ours, other) = (include_bytes!("tests/authority.pem"), include_bytes!("tests/other-authority.pem"));
    let wire = Wire::tls(|_| answer("200 OK", "text/plain", "secret")).await;
    let url = parse_url(&wire.url).unwrap();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("ca.pem");
    let client = Client::new();

    let error = get_trusting(&client, &url, None).await.unwrap_err();
    assert_eq!(error.code(), "tls", "{error}");
    assert!(error.to_string().contains("name the authority that signed its certificate: `tls.caFile`"), "{error}");

    for (contents, trusted) in [(&ours[..], true), (&other[..], false), (&[&other[..], &ours[..]].concat()[..], true)] {
        replace(&file, contents);
        let outcome = get_trusting(&client, &url, Some(&file)).await;
        assert_eq!(
            outcome.as_ref().map_err(ClientError::code).map(|r| &r.body[..]),
            if trusted { Ok(&b"secret"[..]) } else { Err("tls") },
            "{outcome:?}"
        );
    }
    let before = wire.connections();
    get_trusting(&client, &url, Some(&file)).await.unwrap();
    assert_eq!(wire.connections(), before, "the same file keeps its connections");

    for (contents, part) in [
        ("", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "cannot be read"),
    ] {
        replace(&file, contents.as_bytes());
        let error = get_trusting(&client, &url, Some(&file)).await.unwrap_err();
        assert!(error.code() == "tls" && error.to_string().contains(part), "{error}");
    }
    let error = get_trusting(&client, &url, Some(&place.path().join("none"))).await.unwrap_err();
    assert!(error.code() == "tls" && error.to_string().contains("No such file"), "{error}");
}

#[tokio::test]
async fn tls_where_there_is_none_is_told() {
    let wire = Wire::start(|_| answer("200 OK", "text/plain", "")).await;
    // The server takes the handshake for the beginning of a long request; this one answers at once.
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream
    });
    let error = get(&Client::new(), &format!("https://{address}"), PATIENT).await.unwrap_err();
    assert!(error.code() == "tls" && error.to_string().contains("else write http"), "{error}");
    drop((wire, task.await));
}

#[test]
fn addresses() {
    for (right, place) in [
        ("http://host", "http://host"),
        ("https://host:8443/a/b?token=x", "https://host:8443/a/b"),
        ("http://[::1]:80/", "http://[::1]:80"),
    ] {
        assert_eq!(place_of(&parse_url(right).unwrap()), place);
    }
    for wrong in
        ["", "host", "/path", "ftp://host/", "http:///x", "http://user@host", "http://u:p@host/", "http://ho st"]
    {
        assert!(parse_url(wrong).is_err(), "{wrong}");
    }
}
