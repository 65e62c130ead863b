//! A disk that is full, and a store that is taken.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use automap_integration_tests::{
    command::{self, Ended},
    processes::Service,
    recording,
    store_faults::{
        audit,
        history::{History, now},
        load, profiler,
        records::Record,
    },
};
use automap_proto::v1::profiler_service_client::ProfilerServiceClient;
use automap_service_kit::client::Channel;
use tonic::{Code, Status};

/// The profiler with its store on a disk of 48 MiB that only it can see; through `/proc` others can, too.
fn on_a_small_disk(home: &Path) -> (Service, PathBuf) {
    let disk = home.join("disk");
    fs::create_dir(&disk).unwrap();
    let configuration = profiler::configuration(&disk.join("store"));
    let service = Service::start_on_tmpfs(home, &disk, 48, "profiler", &configuration).unwrap();
    let seen = PathBuf::from(format!("/proc/{}/root{}", service.id(), disk.display()));
    assert!(seen.join("store").is_dir());
    (service, seen)
}

/// Writes new diagnoses until one is refused.
async fn write_until_refused(client: &mut ProfilerServiceClient<Channel>, history: &mut History) -> Status {
    loop {
        let record = Record::Diagnosis(format!("d-{}", history.acknowledged(now())));
        history.ask(&record, 4);
        match load::write(client, &record, 4).await {
            Ok(()) => history.acknowledge(&record),
            Err(status) => return status,
        }
    }
}

/// Writes a file until the disk has not a byte left.
pub(super) fn fill(file: &Path) {
    let mut file = fs::File::create(file).unwrap();
    for size in [1 << 20, 4096, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

/// Removes a file. A process that another test is just starting may still hold it open, and its room with it; an emptied
/// file holds none.
fn give_back(file: &Path) {
    fs::File::create(file).unwrap();
    fs::remove_file(file).unwrap();
}

/// Leaves so many MiB of the disk free.
fn leave_free(disk: &Path, mib: usize) {
    let volume = rustix::fs::statvfs(disk).unwrap();
    let free = usize::try_from(volume.f_bavail * volume.f_frsize).unwrap();
    fs::write(disk.join("ballast"), vec![1; free - (mib << 20)]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_writes_loses_nothing_and_is_left_behind() {
    let home = tempfile::tempdir().unwrap();
    let (service, disk) = on_a_small_disk(home.path());
    fs::write(disk.join("ballast"), vec![1; 16 << 20]).unwrap();
    let mut client = profiler::connect(&service).unwrap();
    let mut history = History::default();
    let refused = write_until_refused(&mut client, &mut history).await;
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("is full"), "{refused}");
    assert!(history.acknowledged(now()) > 10);
    // Others fill the rest while the engine still has chores: records that were replaced.
    give_back(&disk.join("ballast"));
    for number in 0..400 {
        let record = Record::Diagnosis(format!("d-{}", number % 40));
        history.ask(&record, 4);
        load::write(&mut client, &record, 4).await.unwrap();
        history.acknowledge(&record);
    }
    fill(&disk.join("more"));
    for _ in 0..3 {
        audit::check(&mut client, &history, now()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    audit::check(&mut client, &history, now()).await.unwrap();
    let again = write_until_refused(&mut client, &mut history).await;
    assert_eq!(again.code(), Code::ResourceExhausted, "{again}");
    audit::check(&mut client, &history, now()).await.unwrap();
    give_back(&disk.join("more"));
    for number in 0..20 {
        let record = Record::Diagnosis(format!("after-{number}"));
        history.ask(&record, 1);
        load::write(&mut client, &record, 1).await.unwrap();
        history.acknowledge(&record);
    }
    audit::check(&mut client, &history, now()).await.unwrap();
    assert_eq!(service.terminate().unwrap(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_up_in_the_middle_of_a_write_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (service, disk) = on_a_small_disk(home.path());
    let mut client = profiler::connect(&service).unwrap();
    let mut history = History::default();
    for round in 0..4 {
        // Whoever is faster, what the writer can take of these 8 MiB leaves room for the rounds that follow.
        leave_free(&disk, 8);
        let filled = tokio::task::spawn_blocking({
            let rest = disk.join("rest");
            move || fill(&rest)
        });
        let refused = write_until_refused(&mut client, &mut history).await;
        filled.await.unwrap();
        assert_eq!(refused.code(), Code::ResourceExhausted, "round {round}: {refused}");
        for others in ["ballast", "rest"] {
            give_back(&disk.join(others));
        }
        let record = Record::Diagnosis(format!("round-{round}"));
        history.ask(&record, 1);
        load::write(&mut client, &record, 1).await.unwrap();
        history.acknowledge(&record);
        audit::check(&mut client, &history, now()).await.unwrap();
    }
    assert_eq!(service.terminate().unwrap(), Some(0));
}

/// Runs a script in which `$automap` is the command and `disk` a disk of so many KiB that only it can see.
fn with_a_disk_of(kib: u64, home: &Path, script: &str) -> Ended {
    fs::create_dir_all(home.join("disk")).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-ec"])
        .arg(format!("mount -t tmpfs -o size={kib}k tmpfs disk\n{script}"))
        .current_dir(home)
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("automap", command::binary().unwrap());
    command.output().unwrap().into()
}

/// A home with a store that has one diagnosed incident.
fn home_with_a_store() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    recording::demo_incident(home.path()).unwrap();
    let ended = command::run(home.path(), &["diagnose", "incident", "--store", "store"]).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    home
}

#[test]
fn a_lack_of_room_for_the_copies_of_a_sound_store_is_not_told_as_damage() {
    let home = home_with_a_store();
    let verify = "TMPDIR=disk \"$automap\" store verify --store store";
    let salvage =
        "\"$automap\" store salvage disk/saved.export --store store || { code=$?; ls -A disk; exit $code; }";
    for (script, way_out) in [(verify, "TMPDIR"), (salvage, "another volume")] {
        let mut codes = Vec::new();
        for doubled in 2..=16 {
            let kib = 1 << doubled;
            let ended = with_a_disk_of(kib, home.path(), script);
            codes.push(ended.code);
            if ended.code != 0 {
                assert_eq!((ended.code, ended.stdout.as_str()), (1, ""), "{kib} KiB: {}", ended.stderr);
                let copies = ended.stderr.contains("cannot keep copies of the store in disk");
                let told = copies && ended.stderr.contains(way_out)
                    || ended.stderr.contains("cannot write disk/saved.export");
                assert!(told, "{kib} KiB: {}", ended.stderr);
            }
        }
        assert!(codes.is_sorted_by(|less, more| less >= more), "{script}: {codes:?}");
        assert_eq!((codes.first(), codes.last()), (Some(&1), Some(&0)), "{script}: {codes:?}");
    }
}

#[test]
fn an_engine_that_its_journal_cannot_rebuild_for_want_of_room_is_rebuilt_once_there_is_some() {
    let home = home_with_a_store();
    let mut codes = Vec::new();
    for kib in [0, 16, 64, 256, 512, 1024, 2048, 4096, 32_768] {
        let script = format!(
            "cp -r store disk/store
            \"$automap\" store stats --store disk/store > /dev/null # so that there is a snapshot of the log
            dd if=/dev/zero of=disk/store/db bs=1 seek=700 count=200 conv=notrunc
            rm -f disk/store/ballast
            free=$(df -k --output=avail disk | tail -n 1)
            head -c $(( (free - {kib}) * 1024 )) /dev/zero > disk/rest
            code=0
            \"$automap\" store stats --store disk/store || code=$?
            rm disk/rest
            \"$automap\" store stats --store disk/store || exit 9
            test -d disk/store/moved-aside/damaged-1 || exit 8
            exit $code"
        );
        let ended = with_a_disk_of(65_536, home.path(), &script);
        codes.push(ended.code);
        if ended.code != 0 {
            assert_eq!(ended.code, 1, "{kib} KiB: {}", ended.stderr);
            assert!(ended.stderr.contains("disk/store is full"), "{kib} KiB: {}", ended.stderr);
            assert!(!ended.stderr.contains("salvage"), "{kib} KiB: {}", ended.stderr);
        }
        assert!(ended.stdout.contains("1 incident"), "{kib} KiB: {}", ended.stdout);
    }
    assert_eq!((codes.first(), codes.last()), (Some(&1), Some(&0)), "{codes:?}");
}

#[test]
fn a_second_process_on_a_store_is_told_that_it_is_taken() {
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("store");
    let service = profiler::start(home.path(), &store, &[]).unwrap();
    let place = store.to_str().unwrap();
    for arguments in [
        &["store", "verify", "--store", place][..],
        &["store", "compact", "--store", place],
        &["store", "export", "out.export", "--store", place],
        &["store", "salvage", "out.export", "--store", place],
        &["incidents", "list", "--store", place],
        &[
            "serve",
            "profiler",
            "--set",
            "profiler.server.listen=127.0.0.1:0",
            "--set",
            &format!("profiler.path={place}"),
        ],
    ] {
        let ended = command::run(home.path(), arguments).unwrap();
        assert_eq!(ended.code, 1, "{arguments:?}: {}", ended.stderr);
        assert!(ended.stderr.contains("is in use by another process"), "{arguments:?}: {}", ended.stderr);
        // What asks no server by itself says how one is asked.
        let way_out = match arguments[1] {
            "verify" | "compact" | "salvage" => "`automap store export FILE --server URL`",
            "export" | "list" => "--server URL",
            _ => "profiler.path",
        };
        assert!(ended.stderr.contains(way_out), "{arguments:?}: no {way_out} in {}", ended.stderr);
    }
    let asked = ["store", "export", "out.export", "--server", &service.address];
    let ended = command::run(home.path(), &asked).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(service.terminate().unwrap(), Some(0));
    let ended = command::run(home.path(), &["store", "verify", "--store", place]).unwrap();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}
