//! A harness that runs the real command and the real services as processes of their own.
//!
//! | module | what it holds |
//! |---|---|
//! | [`command`] | the command `automap`, run to its end |
//! | [`processes`] | services on free loopback ports, as one process or as four |
//! | [`setup`] | what they are started with |
//! | [`load`] | callers of a walker, few or many |
//! | [`tls_front`] | TLS before a service in clear |
//! | [`hosts`] | several hosts on this machine |
//! | [`faulty_proxy`] | a bad network |
//! | [`pki`] | authorities and certificates |
//! | [`tokens`] | tokens of callers |
//! | [`otlp_receiver`] | a receiver of spans |
//! | [`foreign`] | clients that others wrote |
//! | [`metrics_server`], [`samples`] | Prometheus and VictoriaMetrics, and what they hold |
//! | [`preset_world`], [`table`] | an application as exporters tell of it, and files of the command |
//! | [`testbed`] | Pymicro with its ZooKeeper and its Prometheus |
//! | [`scripted_server`] | faults of servers that no real one can be brought to |
//! | [`sink_server`] | a server that keeps what sinks are sent |
//! | [`alertmanager`] | a real Alertmanager, rules for a running Prometheus, and notifications |
//! | [`http`] | requests to admin ports |
//! | [`recording`] | incident directories for tests |
//! | [`usage`] | what a process takes |
//! | [`skeletons`] | skeletons by the command and by causal-learn |
//! | [`python`] | scripts around other implementations |
//! | [`browser`], [`page_reader`] | a browser without a window, what it fetches, and a person before it |
//! | [`store_faults`] | kills, power failures and damage, on the real server |
//! | [`answers`] | JSON answers without what may differ from run to run |

pub mod alertmanager;
pub mod answers;
pub mod browser;
pub mod command;
pub mod faulty_proxy;
pub mod foreign;
pub mod hosts;
pub mod http;
pub mod load;
pub mod metrics_server;
pub mod otlp_receiver;
pub mod page_reader;
pub mod pki;
pub mod preset_world;
pub mod processes;
pub mod python;
pub mod recording;
pub mod samples;
pub mod scripted_server;
pub mod setup;
pub mod sink_server;
pub mod skeletons;
pub mod store_faults;
pub mod table;
pub mod testbed;
pub mod tls_front;
pub mod tokens;
pub mod usage;
