//! What is issued when, and who has to believe it. What TLS makes of it is shown on real Envoys.

use super::*;
use crate::policy_set::{self, Origin};
use local_mesh::tls::TlsClient;
use policy_doc::Purpose;
use std::time::Duration;

fn set() -> PolicySet {
    policy_set::require(Origin::Example, Purpose::LocalTry).unwrap()
}

fn hours(hours: u64) -> Duration {
    Duration::from_hours(hours)
}

/// The certificates of a bundle.
fn members(pem: &str) -> Vec<&str> {
    pem.split_inclusive("-----END CERTIFICATE-----").filter(|part| part.len() > 40).collect()
}

fn current(certificates: &LocalCertificates) -> Vec<String> {
    certificates.regions.iter().map(|region| region.current.certificate.clone()).collect()
}

#[test]
fn every_region_has_a_certificate_and_an_authority_of_its_own() {
    let certificates = LocalCertificates::generate(&set(), SystemTime::now()).unwrap();
    let [taiwan, tokyo] = ["taiwan", "tokyo"].map(|region| {
        let identity = certificates.gateway(region).unwrap();
        let authorities = certificates.authorities(region).unwrap();
        // A key of another certificate would be refused here.
        TlsClient::new(&authorities, &identity.certificate, &identity.key).unwrap();
        (identity.clone(), authorities)
    });
    assert_ne!(taiwan, tokyo);
    assert!(TlsClient::new(&taiwan.1, &taiwan.0.certificate, &tokyo.0.key).is_err());
    assert!(certificates.gateway("osaka").is_none());
    assert!(certificates.issue("osaka", &["spiffe://a/b"], Validity::Usual).is_err());
    assert!(!format!("{certificates:?}").contains("PRIVATE"));
}

#[test]
fn whatever_is_issued_was_believed_before_until_it_expires() {
    let start = SystemTime::now();
    let mut certificates = LocalCertificates::generate(&set(), start).unwrap();
    let mut now = start;
    for _ in 0..4 {
        assert!(!certificates.is_due(now + hours(16) - Duration::from_secs(1)));
        now += hours(16);
        assert!(certificates.is_due(now));
        let believed = certificates.authorities("tokyo").unwrap();
        let shown = current(&certificates);
        certificates = certificates.renewed(now).unwrap();
        assert!(believed.contains(&current(&certificates)[1]), "a peer that has read nothing yet");
        let believed = certificates.authorities("tokyo").unwrap();
        assert!(believed.contains(&shown[1]), "a peer that still shows the old one");
        assert_eq!(members(&believed).len(), 3);
        assert_eq!(certificates.expire(), Some(now + hours(24)));
    }
}

#[test]
fn after_a_long_sleep_or_a_step_back_everything_is_new() {
    let start = SystemTime::now();
    for now in [start + hours(30), start - hours(1)] {
        let mut certificates = LocalCertificates::generate(&set(), start).unwrap();
        let next = certificates.regions[0].next.certificate.clone();
        assert!(certificates.is_due(now));
        certificates = certificates.renewed(now).unwrap();
        assert_ne!(certificates.regions[0].current.certificate, next);
        assert_eq!(members(&certificates.authorities("taiwan").unwrap()).len(), 2);
        assert!(!certificates.is_due(now));
    }
}

#[test]
fn a_later_run_goes_on_with_what_an_earlier_one_has_left() {
    let directory = tempfile::tempdir().unwrap();
    let (set, start) = (set(), SystemTime::UNIX_EPOCH + hours(400_000));
    let first = LocalCertificates::load(&set, directory.path(), start).unwrap();
    first.keep(directory.path()).unwrap();
    let again = |set: &PolicySet, now| LocalCertificates::load(set, directory.path(), now).unwrap();
    assert_eq!(again(&set, start + hours(15)).to_json(), first.to_json());
    let renewed = again(&set, start + hours(16));
    assert_eq!(current(&renewed)[0], first.regions[0].next.certificate);
    let mut other = set.clone();
    for id in
        other.body.regions.iter_mut().flat_map(|r| r.peer_ids.iter_mut().chain(&mut r.gateway_ids))
    {
        *id = id.replace("tokyo.shop", "tokyo.example");
    }
    assert_ne!(current(&again(&other, start)), current(&first), "another mesh");
    fs::write(directory.path().join(STORE), "{}").unwrap();
    assert_ne!(current(&again(&set, start)), current(&first), "nothing that can be read");
}

#[test]
fn only_this_user_reads_what_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let set = set();
    let certificates = LocalCertificates::generate(&set, SystemTime::now()).unwrap();
    certificates.write(&set, directory.path()).unwrap();
    certificates.keep(directory.path()).unwrap();
    let files = certificates.files(&set).unwrap();
    let order: Vec<bool> = files.iter().map(|file| file.is_private).collect();
    assert!(order.is_sorted(), "whoever has to believe a certificate comes first");
    let mut paths: Vec<_> = files.iter().map(|file| directory.path().join(&file.path)).collect();
    paths.push(directory.path().join(STORE));
    assert_eq!(paths.len(), 9);
    for path in paths {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", path.display());
        }
        assert!(!fs::read(&path).unwrap().is_empty());
    }
}
