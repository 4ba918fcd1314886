//! The state directory: one daemon at a time, broken files, and a disk without room.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use trimtab_tests::daemon::{Daemon, Said};
use trimtab_tests::place;

use super::{dry_run, scaler};

fn counting() -> Daemon {
    let daemon = Daemon::new();
    daemon.policy("counter", &wat::parse_str(include_str!("counter.wat")).unwrap());
    daemon
        .manifest("all.yaml", &scaler("chat", &dry_run("maxReplicas: 1000", 1, &[]), "  policies: [{name: counter}]"));
    daemon
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused() {
    let mut first = counting();
    first.start();
    let mut second = counting();
    second.use_state_folder(first.state_folder());
    let said = Said::from(second.command().output().unwrap());
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    let text = said.out + &said.err;
    assert!(text.contains("in use by another daemon") && text.contains(&first.pid().to_string()), "{text}");
    first.until_decided("default/chat", "the first goes on", |_| true);
}

#[test]
fn a_corrupt_state_file_is_moved_aside_and_said_and_the_loop_goes_on() {
    let mut daemon = counting();
    daemon.start();
    daemon.until_pool("default/chat", "some decisions", |pool| pool.desired > 3);
    daemon.kill();
    let file = daemon.state_folder().join("state.db");
    for name in ["state.db-wal", "state.db-shm"] {
        let _ = fs::remove_file(daemon.state_folder().join(name));
    }
    fs::write(&file, b"this was a database once\n".repeat(400)).unwrap();
    daemon.start();
    daemon.until_logged(&["was broken", "moved to"]);
    daemon.until_decided("default/chat", "it decides", |d| !d.stages.is_empty());
    let kept = fs::read_dir(daemon.state_folder()).unwrap().any(|entry| {
        let name = entry.unwrap().file_name();
        name.to_string_lossy().starts_with("state.db.broken")
    });
    assert!(kept, "the broken file is kept for a person");
}

/// A small disk of its own, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None: this user may not mount.
    fn mount(at: &Path) -> Option<SmallDisk> {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(at).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| SmallDisk(at.to_owned()))
    }
}

impl SmallDisk {
    /// Leaves not a page free; the file that fills it.
    fn fill(&self) -> PathBuf {
        let filler = self.0.join("filler");
        let mut bytes = 2 << 20;
        while bytes >= 512 {
            let mut file = fs::File::options().create(true).append(true).open(&filler).unwrap();
            if file.write_all(&vec![0; bytes]).is_err() {
                bytes /= 2;
            }
        }
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whatever still has a file open keeps it until it ends.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_the_loop_goes_on_and_what_was_not_written_is_written_later() {
    let mut daemon = counting();
    let Some(disk) = SmallDisk::mount(&daemon.folder().join("disk")) else {
        place::skip(
            "a_full_disk_is_said_and_the_loop_goes_on_and_what_was_not_written_is_written_later",
            "this user may not mount a tmpfs",
        );
        return;
    };
    daemon.use_state_folder(&disk.0.join("state"));
    daemon.start();
    daemon.until_pool("default/chat", "some decisions", |pool| pool.desired > 2);
    let filler = disk.fill();
    daemon.until_logged(&["cannot be written"]);
    let before = daemon.pool("default/chat").desired;
    daemon.until_pool("default/chat", "it goes on", |pool| pool.desired > before + 3);
    fs::remove_file(&filler).unwrap();
    let before = daemon.pool("default/chat").desired;
    daemon.until_pool("default/chat", "and on", |pool| pool.desired > before + 3);
    let counted = daemon.decision("default/chat").proposal("counter", "default").unwrap();
    daemon.kill();
    daemon.start();
    let now = daemon.decision("default/chat").proposal("counter", "default").unwrap();
    // The daemon was killed without a warning: the last tick's write may have been on its way.
    assert!(now + 2 >= counted, "the state went back from {counted} to {now}");
    drop(daemon);
}

#[test]
fn a_daemon_that_starts_on_a_full_disk_remembers_what_was_written() {
    let name = "a_daemon_that_starts_on_a_full_disk_remembers_what_was_written";
    for kill in [false, true] {
        let mut daemon = counting();
        let Some(disk) = SmallDisk::mount(&daemon.folder().join("disk")) else {
            return place::skip(name, "this user may not mount a tmpfs");
        };
        daemon.use_state_folder(&disk.0.join("state"));
        daemon.start();
        daemon.until_pool("default/chat", "some decisions", |pool| pool.desired > 2);
        assert_eq!(daemon.verb(&["pause", "default/chat", "--for", "1h", "--reason", "a test"]).code, Some(0));
        let held = daemon.until_decided("default/chat", "it is paused", |d| !d.bites("pause").is_empty());
        let counted = held.proposal("counter", "default").unwrap();
        // What was decided before this is in the file, or in its log.
        daemon.until_decided("default/chat", "two more", |d| d.proposal("counter", "default") > Some(counted + 2));
        if kill {
            daemon.kill();
        } else {
            daemon.stop();
        }
        let filler = disk.fill();
        daemon.start();
        daemon.until_logged(&["cannot be written"]);
        for _ in 0..2 {
            let now = daemon.until_decided("default/chat", "it is still paused", |d| !d.bites("pause").is_empty());
            assert!(now.proposal("counter", "default") >= Some(counted), "{now:#?}");
            // And it is not written over once there is room.
            let _ = fs::remove_file(&filler);
            daemon
                .until_decided("default/chat", "it goes on", |d| d.proposal("counter", "default") > Some(counted + 6));
            daemon.kill();
            daemon.start();
        }
    }
}
