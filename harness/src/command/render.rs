// SPDX-License-Identifier: Apache-2.0
//! `tracegate render`

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use tracegate::Policy;
use tracegate::config::{Key, Node, Serves, Value};
use tracegate::secret::IMDS_HOST;

use super::Outcome;
use crate::cluster::Cluster;
use crate::error::{Context, Error, Result};
use crate::look::complain;
use crate::module::Manifest;
use crate::output::{self, OutputFile};
use crate::policy::{self, Document};
use crate::render::envoy::{SYSTEM_ROOTS, Settings, UPSTREAM};
use crate::render::{Clients, File, Kubernetes, Needs, apim, envoy, envoy_gateway, istio, limitador, ratelimit};

/// Write what a gateway has to be told around the module, from one policy, in the gateway's own configuration; or what a rate-limit service is to count.
#[derive(Debug, Args)]
#[command(after_help = "\
Gateways:
  envoy           a bootstrap configuration: listener, clusters, the module and its policy
  istio           Gateway, ConfigMap, WasmPlugin, EnvoyFilter, Telemetry, ServiceEntry, DestinationRule
  envoy-gateway   Gateway, EnvoyProxy, ClientTrafficPolicy, EnvoyExtensionPolicy
  apim            API Management before the edge: the steps, a policy fragment, diagnostics, a collector

Rate-limit services, for the quotas that they count:
  limitador       Limitador's file of limits
  ratelimit       a file of envoyproxy/ratelimit's configuration: it has one domain, --domain says which if there are several

Clusters are where the policy's URIs say, or where --cluster says.

Examples:
  cargo harness render --for envoy edge.yaml --upstream shop.internal:8080
  cargo harness render --for envoy edge.yaml --listen 0.0.0.0:443 --certificates /etc/edge --upstream https://shop.internal:8443
  cargo harness render --for istio edge.yaml --image registry.example/tracegate:0.1.0 > edge-istio.yaml
  cargo harness render --for apim edge.yaml --out apim/
  cargo harness render --for limitador edge.yaml --out limits.yaml
  cargo harness render --for ratelimit edge.yaml --domain shop > config/shop.yaml")]
pub(super) struct Render {
    /// The policy: YAML or JSON
    #[arg(value_name = "POLICY")]
    policy: PathBuf,
    /// Whose configuration
    #[arg(long = "for", value_enum, value_name = "PRODUCT")]
    target: Target,
    /// Write to a file, or with `--for apim` to a directory, instead of standard output
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
    /// Where a cluster is that the policy calls, if that isn't where its URIs say. With https:// it is reached by TLS and must prove its name
    #[arg(long = "cluster", value_name = "NAME=[https://]HOST:PORT", value_parser = Cluster::parse)]
    clusters: Vec<Cluster>,
    /// The roots that clusters must prove themselves to, as the gateway finds them [default: the system's]
    #[arg(long, value_name = "FILE")]
    trusted_ca: Option<String>,
    /// Where the policy goes by client certificates: clients without one get in too, as far as its rules let them
    #[arg(long)]
    optional_client_certificates: bool,
    #[command(flatten)]
    envoy: ForEnvoy,
    #[command(flatten)]
    kubernetes: ForKubernetes,
    #[command(flatten)]
    ratelimit: ForRatelimit,
}

/// What to tell Envoy.
#[derive(Debug, Args)]
#[command(next_help_heading = "For envoy")]
struct ForEnvoy {
    /// Where it serves [default: 127.0.0.1:10000, with TLS 127.0.0.1:10443]
    #[arg(long, value_name = "IP:PORT", value_parser = socket_address)]
    listen: Option<SocketAddr>,
    /// Where its admin interface is [default: 127.0.0.1:9901]
    #[arg(long, value_name = "IP:PORT", value_parser = socket_address)]
    admin: Option<SocketAddr>,
    /// Where requests go; with https:// by TLS, and it must prove its name [default: 127.0.0.1:8080]
    #[arg(long, value_name = "[https://]HOST:PORT", value_parser = upstream)]
    upstream: Option<Cluster>,
    /// The module, as Envoy finds it [default: dist/tracegate.wasm]. Where it is here too, it is held against the policy
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    /// The directory of the listener's certificates, as Envoy finds it: it then speaks TLS [default where the policy goes by client
    /// certificates: certificates]
    #[arg(long, value_name = "DIR")]
    certificates: Option<String>,
    /// Don't restrict what the module may do: for an Envoy without that field
    #[arg(long)]
    no_capability_restriction: bool,
}

/// What to tell Kubernetes.
#[derive(Debug, Args)]
#[command(next_help_heading = "For istio and envoy-gateway")]
struct ForKubernetes {
    /// The gateway, a Gateway of the Gateway API; what else is made is named after it [default: edge]
    #[arg(long, value_name = "NAME", value_parser = label)]
    gateway: Option<String>,
    /// Its namespace [default: edge]
    #[arg(long, value_name = "NAME", value_parser = label)]
    namespace: Option<String>,
    /// The module's image, without a scheme [default: registry.example/tracegate:VERSION]
    #[arg(long, value_name = "IMAGE", value_parser = image)]
    image: Option<String>,
    /// The digest of the image's manifest, as `package` prints it
    #[arg(long, value_name = "DIGITS", value_parser = digest)]
    sha256: Option<String>,
}

/// What to tell Envoy's reference rate-limit service.
#[derive(Debug, Args)]
#[command(next_help_heading = "For ratelimit")]
struct ForRatelimit {
    /// Whose quotas [default: the only domain that there is]
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    Envoy,
    Istio,
    EnvoyGateway,
    Apim,
    Limitador,
    Ratelimit,
}

/// The first secret that stands in the document itself.
fn literal(document: &Document) -> Option<&str> {
    fn entries(node: &Node) -> &[(Key, Node)] {
        match &node.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }
    let (_, secrets) = entries(&document.node).iter().find(|(key, _)| key.text == "secrets")?;
    let (key, _) = entries(secrets).iter().find(|(_, secret)| entries(secret).iter().any(|(key, _)| key.text == "literal"))?;
    Some(&key.text)
}

impl Target {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Render {
    pub(super) fn run(self) -> Result<Outcome> {
        self.check_options()?;
        let document = match policy::document(&self.policy) {
            Ok(document) => document,
            Err(error) => {
                complain(&error.to_string());
                return Ok(Outcome::Unusable);
            }
        };
        if let Some(name) = literal(&document) {
            let text = format!("secrets.{name}: expected no `literal` in what is rendered, which others read: say where the secret is");
            return Err(Error::new(text));
        }
        if let Some(cluster) = self.clusters.iter().find(|cluster| !document.loaded.policy.clusters().contains(&cluster.name.as_str())) {
            return Err(Error::new(format!("--cluster {}: the policy calls no such cluster", cluster.name)));
        }
        let policy = &document.loaded.policy;
        let text = match self.target {
            Target::Envoy => self.for_envoy(&document, &self.needs(policy)?)?,
            Target::Istio => istio::manifests(&document, &self.needs(policy)?, &self.for_kubernetes())?,
            Target::EnvoyGateway => envoy_gateway::manifests(&document, &self.needs(policy)?, &self.for_kubernetes()),
            Target::Apim => return self.write_all(&apim::files(&document)),
            Target::Limitador => limitador::limits(policy)?,
            Target::Ratelimit => {
                let (text, warnings) = ratelimit::configuration(policy, self.ratelimit.domain.as_deref())?;
                warnings.iter().for_each(|warning| complain(warning));
                text
            }
        };
        match &self.out {
            None => output::print(&text)?,
            Some(path) => write(path, &text)?,
        }
        Ok(Outcome::Clean)
    }

    /// Refuses options that mean nothing for the target.
    fn check_options(&self) -> Result<()> {
        let ForEnvoy { listen, admin, upstream, module, certificates, no_capability_restriction } = &self.envoy;
        let ForKubernetes { gateway, namespace, image, sha256 } = &self.kubernetes;
        let ForRatelimit { domain } = &self.ratelimit;
        let (envoy, kubernetes, service) = (&[Target::Envoy][..], &[Target::Istio, Target::EnvoyGateway][..], &[Target::Ratelimit][..]);
        let given = [
            ("listen", listen.is_some(), envoy),
            ("admin", admin.is_some(), envoy),
            ("upstream", upstream.is_some(), envoy),
            ("module", module.is_some(), envoy),
            ("certificates", certificates.is_some(), envoy),
            ("no-capability-restriction", *no_capability_restriction, envoy),
            ("gateway", gateway.is_some(), kubernetes),
            ("namespace", namespace.is_some(), kubernetes),
            ("image", image.is_some(), kubernetes),
            ("sha256", sha256.is_some(), kubernetes),
            ("domain", domain.is_some(), service),
        ];
        let found = self.target.name();
        let is_gateway = matches!(self.target, Target::Envoy | Target::Istio | Target::EnvoyGateway);
        if !is_gateway && (self.trusted_ca.is_some() || self.optional_client_certificates || !self.clusters.is_empty()) {
            return Err(Error::new(format!(
                "expected no clusters, roots and client certificates with --for {found}: it has no part in them"
            )));
        }
        match given.into_iter().find(|(_, given, wanted)| *given && !wanted.contains(&self.target)) {
            None => Ok(()),
            Some((name, _, wanted)) => {
                let wanted = wanted.iter().map(|target| format!("--for {}", target.name())).collect::<Vec<_>>().join(" or ");
                Err(Error::new(format!("expected --{name} with {wanted}, found it with --for {found}")))
            }
        }
    }

    /// What the policy needs, as the options have it; what is less safe than the policy's own word is said.
    fn needs(&self, policy: &Policy) -> Result<Needs> {
        let mut needs = Needs::of(policy, &self.clusters)?;
        if self.optional_client_certificates {
            if needs.clients == Clients::Anybody {
                let text = "expected --optional-client-certificates with a policy that says `listener: {client_certificates: verified}`";
                return Err(Error::new(text));
            }
            needs.clients = Clients::MayProveThemselves;
        }
        let is_tls =
            |name: &str| policy.calls().into_iter().any(|call| call.cluster == name && matches!(call.serves, Serves::Http("https", _)));
        for cluster in self.clusters.iter().filter(|cluster| !cluster.tls && is_tls(&cluster.name)) {
            complain(&format!("--cluster {}: reached without TLS at {cluster}, though the policy's URI says https", cluster.name));
        }
        let told = |cluster: &Cluster| self.clusters.iter().any(|told| told.name == cluster.name);
        // The instance metadata service speaks no TLS, and its address is the machine's own.
        let plain = needs.clusters.iter().filter(|cluster| !cluster.tls && !told(cluster) && cluster.host != IMDS_HOST);
        for cluster in plain {
            complain(&format!("cluster {}: reached without TLS at {cluster}, as the policy's URI says", cluster.name));
        }
        Ok(needs)
    }

    fn for_envoy(&self, document: &Document, needs: &Needs) -> Result<String> {
        let ForEnvoy { listen, admin, upstream, module, certificates, no_capability_restriction } = &self.envoy;
        let module = module.clone().unwrap_or_else(|| PathBuf::from("dist/tracegate.wasm"));
        if module.is_file() {
            Manifest::of_file(&module)?.check_reads(&document.loaded.policy).context(|| module.display().to_string())?;
        } else {
            complain(&format!("{} isn't here: whether it reads this policy isn't known", module.display()));
        }
        let certificates = certificates.clone().or_else(|| (needs.clients != Clients::Anybody).then(|| "certificates".to_owned()));
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if let Some(listen) = listen.filter(|listen| certificates.is_none() && !listen.ip().is_loopback()) {
            complain(&format!("{listen} speaks no TLS: --certificates DIR has it do so"));
        }
        if let Some(admin) = admin.filter(|admin| !admin.ip().is_loopback()) {
            complain(&format!("{admin} lets whoever reaches it administer Envoy"));
        }
        let settings = Settings {
            listen: listen.unwrap_or_else(|| local(if certificates.is_some() { 10_443 } else { 10_000 })),
            admin: admin.unwrap_or_else(|| local(9901)),
            upstream: upstream.clone().unwrap_or_else(|| Cluster {
                name: UPSTREAM.to_owned(),
                host: Ipv4Addr::LOCALHOST.to_string(),
                port: 8080,
                tls: false,
                http2: false,
            }),
            module: module.display().to_string(),
            certificates,
            trusted_ca: self.trusted_ca.clone().unwrap_or_else(|| SYSTEM_ROOTS.to_owned()),
            restrict_capabilities: !no_capability_restriction,
        };
        Ok(envoy::configuration(document, needs, &settings))
    }

    fn for_kubernetes(&self) -> Kubernetes {
        let ForKubernetes { gateway, namespace, image, sha256 } = &self.kubernetes;
        let named = |name: &Option<String>| name.clone().unwrap_or_else(|| "edge".to_owned());
        if image.is_none() {
            complain("the image is a placeholder: --image says where yours is");
        }
        Kubernetes {
            gateway: named(gateway),
            namespace: named(namespace),
            image: image.clone().unwrap_or_else(|| format!("registry.example/tracegate:{}", tracegate::VERSION)),
            sha256: sha256.clone(),
            trusted_ca: self.trusted_ca.clone(),
        }
    }

    /// Several files: in a directory, or one behind the other for people to read.
    fn write_all(&self, files: &[File]) -> Result<Outcome> {
        let Some(directory) = &self.out else {
            output::print(&on_one_page(files))?;
            return Ok(Outcome::Clean);
        };
        fs::create_dir_all(directory).context(|| format!("can't create {}", directory.display()))?;
        files.iter().try_for_each(|file| write(&directory.join(file.name), &file.text))?;
        Ok(Outcome::Clean)
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let mut file = OutputFile::create(path)?;
    file.write_all(text.as_bytes()).context(|| format!("can't write {}", path.display()))?;
    file.commit()
}

fn on_one_page(files: &[File]) -> String {
    let mut page = String::new();
    for File { name, text } in files {
        let language = name.rsplit_once('.').map_or("", |(_, language)| language);
        let _ = if language == "md" { write!(page, "{text}") } else { write!(page, "\n## {name}\n\n```{language}\n{text}```\n") };
    }
    page
}

/// A name as Kubernetes has them: RFC 1123's labels, short enough for what is named after it.
fn label(text: &str) -> Result<String, String> {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let sound = matches!(text.len(), 1..=40) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-');
    if sound { Ok(text.to_owned()) } else { Err("expected 1 to 40 lower-case letters, digits and inner `-`".to_owned()) }
}

/// A registry, a path and perhaps a tag; its digest is for `--sha256` to say.
fn image(text: &str) -> Result<String, String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte);
    let parts: Vec<&str> = text.split('/').collect();
    let sound = parts.len() > 1 && parts.iter().all(|part| !part.is_empty() && part.bytes().all(known) && !part.starts_with(':'));
    let schemeless = !matches!(parts.first(), Some(&("oci:" | "http:" | "https:" | "docker:")));
    if sound && schemeless {
        Ok(text.to_owned())
    } else {
        Err("expected an image without a scheme and a digest, such as registry.example/tracegate:0.1.0".to_owned())
    }
}

fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "expected IP:PORT, such as 127.0.0.1:10000".to_owned())
}

fn upstream(text: &str) -> Result<Cluster, String> {
    Cluster::at(UPSTREAM, text)
}

fn digest(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    let sound = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if sound { Ok(digits) } else { Err("expected 64 hexadecimal digits".to_owned()) }
}
