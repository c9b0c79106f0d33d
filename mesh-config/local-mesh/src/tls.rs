//! The raw client of [`crate::client`] with a certificate to show, or with none.
//!
//! What it shows is what it is given: an expired certificate, one of a strange authority, one with
//! two names. A server is whoever its authority vouches for; the names in certificates of a mesh are
//! no host names, so there is none to compare.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{
    Resumption, WantsClientCert, verify_server_cert_signed_by_trust_anchor,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
};

use crate::client::{self, RawRequest, RawResponse, Received, http2};
use crate::error::Error;

/// A client that speaks TLS 1.2 or 1.3.
#[derive(Debug, Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
}

// === impl TlsClient ===

impl TlsClient {
    /// A client that believes servers of these authorities and shows a certificate, its issuers
    /// after it. All of it is PEM.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`] for what is no PEM of its kind, or a key that is not the certificate's.
    pub fn new(authorities: &str, certificate: &str, key: &str) -> Result<Self, Error> {
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
        let key = key.map_err(|error| unusable("the key", &error))?;
        let chain = certificates("the certificate", certificate)?;
        let config = builder(authorities)?.with_client_auth_cert(chain, key);
        Ok(Self::of(config.map_err(|error| unusable("the certificate with the key", &error))?))
    }

    /// A client that has no certificate to show.
    ///
    /// # Errors
    ///
    /// [`Error::Tls`] for authorities that are none.
    pub fn anonymous(authorities: &str) -> Result<Self, Error> {
        Ok(Self::of(builder(authorities)?.with_no_client_auth()))
    }

    /// Sends a request on a connection of its own and reads the response.
    ///
    /// # Errors
    ///
    /// Those of [`client::send`]. A server that refuses the certificate is an
    /// [`Error::Connection`]: with TLS 1.3 its alert comes in the place of the response.
    pub async fn send(
        &self,
        addr: SocketAddr,
        request: &RawRequest,
        timeout: Duration,
    ) -> Result<RawResponse, Error> {
        self.receive_from(addr, request, timeout).await?.whole(addr)
    }

    /// The same for a response that may be cut: one whose headers came is no error.
    ///
    /// # Errors
    ///
    /// Those of [`TlsClient::send`].
    pub async fn receive_from(
        &self,
        addr: SocketAddr,
        request: &RawRequest,
        timeout: Duration,
    ) -> Result<Received, Error> {
        client::within(timeout, addr, async {
            let stream = self.connect(addr).await?;
            client::exchange(addr, stream, request).await
        })
        .await
    }

    /// The same with HTTP/2.
    ///
    /// # Errors
    ///
    /// Those of [`client::receive_http2`].
    pub async fn receive_http2(
        &self,
        addr: SocketAddr,
        request: &RawRequest,
        timeout: Duration,
    ) -> Result<Received, Error> {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![b"h2".to_vec()];
        let client = Self { config: Arc::new(config) };
        let exchange = Box::pin(async {
            let stream = client.connect(addr).await?;
            http2::exchange(addr, stream, request, "https").await
        });
        client::within(timeout, addr, exchange).await
    }

    async fn connect(&self, addr: SocketAddr) -> Result<TlsStream<TcpStream>, Error> {
        let failed = |source| Error::Connection { addr, source };
        let stream = TcpStream::connect(addr).await.map_err(failed)?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let name = ServerName::IpAddress(addr.ip().into());
        connector.connect(name, stream).await.map_err(failed)
    }

    fn of(mut config: ClientConfig) -> Self {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Every connection shows the certificate again.
        config.resumption = Resumption::disabled();
        Self { config: Arc::new(config) }
    }
}

fn builder(authorities: &str) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
    let mut roots = RootCertStore::empty();
    for authority in certificates("the authorities", authorities)? {
        roots.add(authority).map_err(|error| unusable("the authorities", &error))?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = Arc::new(ByAuthority { roots, provider: Arc::clone(&provider) });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("the protocol versions", &error))?;
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
}

fn certificates(what: &'static str, pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err(unusable(what, &"there is none")),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(what, &error)),
    }
}

fn unusable(what: &'static str, why: &dyn std::fmt::Display) -> Error {
    Error::Tls { what, why: why.to_string() }
}

/// Believes a server that one of the authorities vouches for, whatever its name.
#[derive(Debug)]
struct ByAuthority {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ByAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
