//! The server that the tests start: this program, told by its environment to serve.
//!
//! `SERVE="PORT NAME POOL"`; `REFUSE=/path`: answered with 500; `SLOW=/path`: after half a second. It prints what it is asked, so that its log tells.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

#[test]
#[ignore = "a program for the other tests, not a test"]
fn the_server() {
    let Ok(serve) = std::env::var("SERVE") else { return };
    let port: u16 = serve.split(' ').next().unwrap().parse().unwrap();
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    say(&format!("serves {serve}"));
    for stream in listener.incoming() {
        // A client that went away is its own affair.
        let _ = answer(stream.unwrap());
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let asked = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let asked = asked.trim_end_matches(" HTTP/1.1");
    if asked != "GET /health" {
        say(asked);
    }
    let told = |name: &str| std::env::var(name).is_ok_and(|path| asked.contains(&path));
    if told("SLOW") {
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    let refused = told("REFUSE");
    let status = if refused { "500 Internal Server Error" } else { "200 OK" };
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

fn say(line: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{line}").and_then(|()| out.flush()).unwrap();
}
