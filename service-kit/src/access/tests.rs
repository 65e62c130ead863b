use std::{net::SocketAddr, path::Path};

use super::{token::TokenHash, *};
use crate::tls::ServerTlsConfig;

fn names() -> CertificateNames {
    use rcgen::{CertificateParams, DnType, KeyPair};
    let mut params = CertificateParams::new(vec!["walker.automap".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "walker");
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    CertificateNames::of(certificate.der()).unwrap()
}

fn with_tokens(file: &Path, token: &str, anonymous: Option<Role>) -> Access {
    let hash = TokenHash::of(token);
    std::fs::write(file, format!("[[tokens]]\nname = \"ada\"\nhash = \"{hash}\"\nrole = \"confirm\"\n"))
        .unwrap();
    let access = AccessConfig { tokens: Some(file.into()), anonymous, ..AccessConfig::default() };
    Access::start("server", &ServerConfig { access, ..ServerConfig::default() }).unwrap()
}

fn mutual(certificates: &[(&str, &str, Role)]) -> Access {
    let grant = |&(name, identity, role): &(&str, &str, Role)| {
        (name.to_owned(), CertificateGrant { identity: identity.into(), role, ..CertificateGrant::default() })
    };
    let access =
        AccessConfig { certificates: certificates.iter().map(grant).collect(), ..AccessConfig::default() };
    let tls = ServerTlsConfig {
        certificate: Some("server.pem".into()),
        key: Some("server.key".into()),
        client_ca: Some("ca.pem".into()),
        ..ServerTlsConfig::default()
    };
    Access::start("server", &ServerConfig { access, tls, ..ServerConfig::default() }).unwrap()
}

#[tokio::test]
async fn without_configuration_anybody_may_do_everything_whatever_he_shows() {
    let access = Access::start("server", &ServerConfig::default()).unwrap();
    for header in [None, Some("Bearer of a mesh"), Some("")] {
        let caller = access.judge(header, None, None).unwrap();
        assert_eq!(
            (caller.role(), caller.proof(), caller.proved_name()),
            (Role::Admin, Proof::Nothing, None)
        );
    }
}

#[tokio::test]
async fn a_token_decides_and_a_wrong_one_is_not_made_good() {
    let home = tempfile::tempdir().unwrap();
    let token = token::generate().unwrap();
    let file = home.path().join("tokens.toml");
    for (anonymous, without) in [(None, None), (Some(Role::Read), Some(Role::Read))] {
        let access = with_tokens(&file, &token, anonymous);
        let address: SocketAddr = "[::ffff:10.0.0.7]:99".parse().unwrap();
        let header = format!("bearer {token}");
        let caller = access.judge(Some(&header), Some(&names()), Some(address)).unwrap();
        assert_eq!((caller.name(), caller.role(), caller.proof()), ("ada", Role::Confirm, Proof::Token));
        assert_eq!(caller.address(), Some("10.0.0.7".parse().unwrap()));
        assert_eq!(caller.client(), "token ada");
        let nothing = access.judge(None, None, Some(address));
        assert_eq!(nothing.as_ref().ok().map(Caller::role), without);
        match nothing {
            Ok(caller) => assert_eq!(caller.client(), "10.0.0.7"),
            Err(error) => assert!(error.message().contains("--token-file"), "{error}"),
        }
        for wrong in ["", "Bearer", "Bearer ", &token, "Basic YWRhOmFkYQ==", &format!("{header}0")] {
            let error = access.judge(Some(wrong), Some(&names()), None).unwrap_err();
            assert_eq!(error.code(), ErrorCode::Unauthenticated, "{wrong}");
            assert!(!error.message().contains(&token), "{error}");
        }
    }
}

#[tokio::test]
async fn a_token_that_is_taken_out_of_the_file_counts_no_more_and_a_broken_file_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (token, file) = (token::generate().unwrap(), home.path().join("tokens.toml"));
    let access = with_tokens(&file, &token, None);
    std::fs::write(&file, "[[tokens]").unwrap();
    tokio::time::sleep(2 * RELOAD).await;
    access.judge_token(&token).unwrap();
    std::fs::write(&file, "").unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    while access.judge_token(&token).is_ok() {
        assert!(tokio::time::Instant::now() < deadline, "the token still counts");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_certificate_may_do_what_it_is_granted_and_everything_while_none_is() {
    let names = names();
    let caller = mutual(&[]).judge(None, Some(&names), None).unwrap();
    assert_eq!((caller.name(), caller.role(), caller.proof()), ("walker", Role::Admin, Proof::Certificate));
    let granted = mutual(&[("anybody", "*", Role::Read), ("the-walker", "walker.automap", Role::Diagnose)]);
    let caller = granted.judge(None, Some(&names), None).unwrap();
    assert_eq!((caller.name(), caller.role()), ("the-walker", Role::Diagnose));
    let caller = mutual(&[("anybody", "*", Role::Read)]).judge_certificate(&names).unwrap();
    assert_eq!((caller.name(), caller.role()), ("walker", Role::Read));
    let error = mutual(&[("other", "collector", Role::Admin)]).judge_certificate(&names).unwrap_err();
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    let error = mutual(&[]).judge(None, None, None).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unauthenticated);
}

#[test]
fn a_server_that_others_reach_must_be_told_who_may_call() {
    let exposed = |address: &str, access: AccessConfig| {
        let server = ServerConfig { listen: address.parse().unwrap(), access, ..ServerConfig::default() };
        server.check_exposure("walker.server.listen", server.listen, "walker.server")
    };
    for address in ["127.0.0.1:0", "[::1]:0", "127.8.8.8:1", "[::ffff:127.0.0.1]:1"] {
        assert!(exposed(address, AccessConfig::default()).is_ok(), "{address}");
    }
    for address in ["0.0.0.0:0", "[::]:0", "10.0.0.1:1"] {
        let error = exposed(address, AccessConfig::default()).unwrap_err();
        assert_eq!(error.field(), "walker.server.listen");
        for way in
            ["walker.server.access.tokens", "walker.server.tls.client-ca", "walker.server.access.anonymous"]
        {
            assert!(error.problem().contains(way), "{error}");
        }
        let said = AccessConfig { anonymous: Some(Role::Read), ..AccessConfig::default() };
        assert!(exposed(address, said).is_ok());
        let tokens = AccessConfig { tokens: Some("tokens.toml".into()), ..AccessConfig::default() };
        assert!(exposed(address, tokens).is_ok());
    }
}

#[tokio::test]
async fn settings_that_contradict_each_other_are_named() {
    let refused = |access: AccessConfig| {
        Access::start("server", &ServerConfig { access, ..ServerConfig::default() }).unwrap_err()
    };
    let grant = |identity: &str, systems: &[&str]| {
        let systems = systems.iter().map(|name| (*name).to_owned()).collect();
        let grant = CertificateGrant { identity: identity.into(), systems, role: Role::Read };
        AccessConfig { certificates: [("x".to_owned(), grant)].into(), ..AccessConfig::default() }
    };
    for (access, field) in [
        (grant("walker", &["*"]), "server.access.certificates"),
        (grant(" ", &["*"]), "server.access.certificates.x.identity"),
        (grant("walker", &[]), "server.access.certificates.x.systems"),
        (
            AccessConfig { tokens: Some("nowhere.toml".into()), ..AccessConfig::default() },
            "server.access.tokens",
        ),
        (AccessConfig { calls_at_once: Some(0), ..AccessConfig::default() }, "server.access.calls-at-once"),
        (
            AccessConfig { calls_per_minute: Some(0), ..AccessConfig::default() },
            "server.access.calls-per-minute",
        ),
    ] {
        assert_eq!(refused(access).field(), field);
    }
}

#[test]
fn what_a_table_does_not_hold_needs_the_highest_role() {
    let policy = Policy {
        service: "automap.v1.WalkerService",
        roles: &[("GetDiagnosis", Role::Read)],
        knows_systems: true,
    };
    assert_eq!(policy.of("/automap.v1.WalkerService/GetDiagnosis"), ("GetDiagnosis", Role::Read));
    for path in ["/automap.v1.WalkerService/Diagnose", "/automap.v1.WalkerServiceX/GetDiagnosis", "/", ""] {
        assert_eq!(policy.of(path).1, Role::Admin, "{path}");
    }
    assert!(policy.differences().contains(&"no role for Diagnose".to_owned()));
}
