//! Whom a server lets in by their certificate.

use std::net::IpAddr;
use std::sync::Arc;

use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme,
};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::Provider;

/// What is asked of clients; the names are those of Go's `tls.ClientAuthType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// `NoClientCert`: nothing.
    #[default]
    None,
    /// `RequestClientCert`: they may show any certificate, or none.
    Request,
    /// `RequireAnyClientCert`: they show any certificate, whoever signed it.
    RequireAny,
    /// `VerifyClientCertIfGiven`: they may show none; one that they show is signed by a known authority.
    VerifyIfGiven,
    /// `RequireAndVerifyClientCert`: they show a certificate that is signed by a known authority.
    RequireAndVerify,
}

impl ClientAuth {
    /// Whether a certificate is held against the known authorities.
    #[must_use]
    pub const fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }

    /// Whether a client without a certificate is turned away.
    #[must_use]
    pub const fn requires(self) -> bool {
        matches!(self, Self::RequireAny | Self::RequireAndVerify)
    }
}

/// Which clients may connect.
#[derive(Clone, Debug)]
pub struct Clients {
    /// What is asked of them.
    pub auth: ClientAuth,
    /// The authorities whose signature counts.
    pub authorities: Arc<RootCertStore>,
    /// The subject alternative names of which their certificate must have one; `None` asks for none.
    pub allowed_sans: Option<Vec<String>>,
}

impl Clients {
    /// What rustls asks.
    ///
    /// # Errors
    /// When certificates are to be verified and no authority is known.
    pub(super) fn verifier(&self, provider: &Provider) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        if self.auth == ClientAuth::None {
            return Ok(WebPkiClientVerifier::no_client_auth());
        }
        let authorities = if self.auth.verifies() {
            let builder = WebPkiClientVerifier::builder_with_provider(
                Arc::clone(&self.authorities),
                Arc::clone(provider),
            );
            Some(builder.build().map_err(|error| Error::General(error.to_string()))?)
        } else {
            None
        };
        Ok(Arc::new(Verifier {
            authorities,
            mandatory: self.auth.requires(),
            allowed_sans: self.allowed_sans.clone(),
            algorithms: provider.signature_verification_algorithms,
        }))
    }
}

/// Judges certificates. That a client has the key to its certificate is asked in any case.
#[derive(Debug)]
struct Verifier {
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    mandatory: bool,
    allowed_sans: Option<Vec<String>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.as_ref().map_or(&[], |authorities| authorities.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match &self.authorities {
            Some(authorities) => {
                authorities.verify_client_cert(end_entity, intermediates, now)?;
            }
            None => {
                ParsedCertificate::try_from(end_entity)?;
            }
        }
        if let Some(allowed) = &self.allowed_sans
            && !subject_alternative_names(end_entity).iter().any(|name| allowed.contains(name))
        {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The names of a certificate's extension of that name (RFC 5280, 4.2.1.6): of hosts and mailboxes, addresses and URIs.
/// Empty where it has none, or cannot be read: then no name of it is allowed.
fn subject_alternative_names(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(certificate) else { return Vec::new() };
    let Ok(Some((_, SubjectAltName(names)))) = certificate.tbs_certificate.get() else { return Vec::new() };
    names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DnsName(text)
            | GeneralName::Rfc822Name(text)
            | GeneralName::UniformResourceIdentifier(text) => Some(text.to_string()),
            GeneralName::IpAddress(octets) => address(octets.as_bytes()).map(|address| address.to_string()),
            _ => None,
        })
        .collect()
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}
