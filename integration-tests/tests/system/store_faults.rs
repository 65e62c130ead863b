//! Faults that the store must survive, in short; `cargo run --release --example store_faults` runs as many as one likes.

use std::{fs, os::unix::process::ExitStatusExt as _, process::Command};

use automap_integration_tests::{
    python,
    store_faults::{damage, imports, kills, load, power, profiler, recorded_disk},
};
use automap_proto::v1;
use tonic::{Code, Status};

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_under_load_loses_or_tears_what_was_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let report = kills::run(home.path(), 12, 1, |_| ()).await.unwrap();
    assert_eq!(report.kills, 12);
    assert!(report.kills_while_opening > 0 && report.kills_while_ending > 0, "{report:?}");
    assert!(report.acknowledged > 50 && report.checked > 50, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_leaves_all_of_an_import_or_nothing_of_it() {
    let home = tempfile::tempdir().unwrap();
    let report = imports::run(home.path(), 10, 1).await.unwrap();
    assert_eq!(report.kills, 10);
    assert!(report.acknowledged < 5, "most kills must meet an import that goes on: {report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_is_not_taken_for_one_that_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let service = profiler::start(home.path(), &home.path().join("store"), &[]).unwrap();
    let mut client = profiler::connect(&service).unwrap();
    let request = v1::GetDiagnosisRequest { diagnosis_id: "unknown".into() };
    let refusal = client.get_diagnosis(request.clone()).await.unwrap_err();
    assert_eq!(refusal.code(), Code::NotFound);
    // What a store that failed would answer by the same way.
    let failed = Status::with_metadata(Code::Unavailable, "the store failed", refusal.metadata().clone());
    assert!(!load::is_gone(&failed), "{failed:?}");
    service.kill().unwrap();
    let broken = client.get_diagnosis(request).await.unwrap_err();
    assert!(load::is_gone(&broken), "{broken:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_power_failure_loses_or_tears_what_was_acknowledged() {
    let home = tempfile::tempdir().unwrap();
    let report = power::run(home.path(), 6, 60, 1).await.unwrap();
    assert_eq!(report.power_failures, 60);
    // The profiler takes room for its ballast by a system call that no library makes for it.
    assert!(report.allocations > 0, "{report:?}");
    assert!(report.writes_acknowledged > 50 && report.checked > 500, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_damage_makes_a_record_silently_wrong_and_salvage_names_what_it_cannot_save() {
    let home = tempfile::tempdir().unwrap();
    let report = damage::run(home.path(), 32, 1).await.unwrap();
    assert_eq!(report.cases, 32);
    println!("{} records lost without a name, {} changes named", report.unnamed, report.changes_named);
    assert!(report.opened > 8 && report.saved > report.records / 2, "{report:?}");
}

/// Changes a file in a directory that is not told of, and then in the directory that is, by the way that is named.
const CHANGE: &str = r#"
import ctypes, mmap, os, platform, sys
way, root, outside = sys.argv[1:]
libc = ctypes.CDLL(None, use_errno=True)
libc.fopen.restype = ctypes.c_void_p
pwrite64 = 18 if platform.machine() == "x86_64" else 67
def change(directory):
    path = os.path.join(directory, "file")
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(file, b"x" * 4096)
    source = os.open("/proc/self/exe", os.O_RDONLY)
    if way == "told":
        os.pwrite(file, b"y", 3)
        os.ftruncate(file, 5000)
        os.posix_fallocate(file, 0, 10000)
        os.fsync(file)
    elif way == "pwritev": os.pwritev(file, [b"a", b"b"], 0)
    elif way == "writev": os.writev(file, [b"a", b"b"])
    elif way == "sendfile": os.sendfile(file, source, 0, 10)
    elif way == "copy_file_range":
        try: os.copy_file_range(source, file, 10)
        except OSError as error: print(error, file=sys.stderr)
    elif way == "link": os.link(path, path + "2")
    elif way == "symlink": os.symlink(path, path + "2")
    elif way == "truncate": os.truncate(path, 1)
    elif way == "mmap": mmap.mmap(file, 4096)[0] = 1
    elif way == "openat": libc.fopen((path + "2").encode(), b"w")
    elif way == "pwrite64": libc.syscall(pwrite64, file, b"abc", ctypes.c_long(3), ctypes.c_long(0))
    elif way == "fallocate": libc.fallocate(file, 3, ctypes.c_long(0), ctypes.c_long(10))
    else: sys.exit("unknown")
for directory in outside, root:
    change(directory)
    print(os.path.basename(directory), flush=True)
"#;

#[test]
fn no_change_to_a_file_goes_by_unseen() {
    const SIGABRT: i32 = 6;
    let home = tempfile::tempdir().unwrap();
    let home = home.path().canonicalize().unwrap();
    let shim = power::compile_shim(&home).unwrap();
    let change = |way: &str| {
        let (root, outside, log) =
            (home.join(way).join("told"), home.join(way).join("outside"), home.join(way).join("log"));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(&outside).unwrap();
        let ended = Command::new(python::interpreter().unwrap())
            .args(["-c", CHANGE, way])
            .args([&root, &outside])
            .env("LD_PRELOAD", &shim)
            .env("AUTOMAP_SHIM_ROOT", &root)
            .env("AUTOMAP_SHIM_LOG", &log)
            .output()
            .unwrap();
        (ended, recorded_disk::events(&log))
    };
    let (ended, events) = change("told");
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(events.unwrap().iter().filter(|event| event.allocates()).count(), 1);
    for way in [
        "pwritev",
        "writev",
        "sendfile",
        "copy_file_range",
        "link",
        "symlink",
        "truncate",
        "mmap",
        "openat",
        "pwrite64",
        "fallocate",
    ] {
        let (ended, events) = change(way);
        assert_eq!(String::from_utf8_lossy(&ended.stdout), "outside\n", "{way}: {ended:?}");
        assert_eq!(ended.status.signal(), Some(SIGABRT), "{way}: {ended:?}");
        let told = events.unwrap_err().to_string();
        assert!(told.contains(&format!("changed by {way}")), "{way}: {told}");
    }
}
