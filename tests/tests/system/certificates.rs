//! A relay whose name is known and whose address is not: an authority is believed once, and the relay's key afterwards.

use std::fs;

use hermes_tests::world::{Account, World};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

#[test]
fn an_account_is_made_with_a_name_and_keeps_the_key_when_the_certificate_is_gone() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let [authority, chain, key] =
        ["ca.pem", "fullchain.pem", "privkey.pem"].map(|name| directory.path().join(name));
    let issuer = {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).expect("a certificate");
        fs::write(&authority, own.pem()).expect("it can be written");
        Issuer::new(params, key)
    };
    let certify = |name: &str, until: i32| {
        let own = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&own, &issuer).expect("a certificate");
        fs::write(&chain, certificate.pem()).expect("it can be written");
        fs::write(&key, own.serialize_pem()).expect("it can be written");
    };
    certify("127.0.0.1", 2200);
    let world = World::with_relay_config(&format!(
        "public_address = '127.0.0.1'\ncertificate = '{}'\ncertificate_key = '{}'\n",
        chain.display(),
        key.display()
    ));
    let address = world.relay.address();
    let name = format!("hermes://127.0.0.1:{}", address.port());
    let home = world.home_with_authorities("home", &authority);
    home.start();
    let init = |account: &str| home.ctl(&["init", "--name", account, "--relay", &name]);
    init("alice").ok().says(&["By its certificate", &address.to_string()]);
    let alice = Account { home: std::sync::Arc::clone(&home), name: "alice".to_owned() };
    assert_eq!(alice.status().expect("it is there").relay, address.to_string());

    // A daemon that trusts others does not take it, and nothing is made.
    let stranger = world.home("stranger");
    stranger.start();
    stranger
        .ctl(&["init", "--name", "mallory", "--relay", &name])
        .refused(1)
        .says(&["no authority that this machine trusts", "ask its operator for the whole address"]);
    assert!(stranger.ctl(&["account", "ls"]).ok().stdout.is_empty());

    // The certificate is of the past: newcomers are told, and who has the address notices nothing.
    certify("127.0.0.1", 2001);
    world.relay.restart();
    init("bob").refused(1).says(&["certificate has expired", "clock of this machine"]);
    let bob = Account::create(&home, "bob", &address.to_string());
    alice.until_connected();
    alice.pair(&bob);
    alice.send("bob", "hi");
    world.until("bob has it", || bob.unread() == ["hi"]);
}
