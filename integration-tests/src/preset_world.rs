//! A small application as every preset's exporters would tell of it, over one hour sampled every 15 s.

use crate::samples::Samples;

/// How long the samples last, seconds.
pub const LENGTH: i64 = 3600;
/// How often they are taken, seconds.
pub const INTERVAL: i64 = 15;
/// When a process restarts, its counters beginning anew, seconds after the start.
pub const RESTART: i64 = 1800;

/// Times of all samples.
pub fn times() -> impl Iterator<Item = i64> {
    (0..=LENGTH).step_by(INTERVAL as usize)
}

/// All of it.
pub fn world() -> Samples {
    let mut samples = Samples::default();
    pymicro(&mut samples);
    node_exporter(&mut samples);
    kubernetes(&mut samples);
    istio(&mut samples);
    linkerd(&mut samples);
    opentelemetry(&mut samples);
    samples
}

/// `web` restarts; `cart` has two pods, of which the second is replaced by a third; `idle` is never called; `calm` never
/// failed and so has no series of failures.
fn pymicro(samples: &mut Samples) {
    let mut requests = |labels: &str,
                        rate: f64,
                        mean: f64,
                        failed: f64,
                        from: i64,
                        to: i64,
                        reset: Option<i64>| {
        let span = || times().filter(move |time| (from..=to).contains(time));
        let since = |rate: f64| {
            move |time: i64| Some(rate * (time - reset.filter(|at| time >= *at).unwrap_or(from)) as f64)
        };
        samples.add(&format!("pymicro_request_duration_seconds_count{{{labels}}}"), span(), since(rate));
        samples.add(&format!("pymicro_request_duration_seconds_sum{{{labels}}}"), span(), since(rate * mean));
        samples.add(
            &format!("pymicro_requests_total{{{labels},status=\"200\"}}"),
            span(),
            since(rate - failed),
        );
        if failed > 0.0 {
            samples.add(&format!("pymicro_requests_total{{{labels},status=\"500\"}}"), span(), since(failed));
        }
    };
    requests("service=\"web\",pod=\"web-1\"", 10.0, 0.2, 0.5, 0, LENGTH, Some(RESTART));
    requests("service=\"cart\",pod=\"cart-1\"", 4.0, 0.1, 0.0, 0, LENGTH, None);
    requests("service=\"cart\",pod=\"cart-2\"", 1.0, 0.6, 0.25, 0, RESTART, None);
    requests("service=\"cart\",pod=\"cart-3\"", 1.0, 0.6, 0.25, RESTART + INTERVAL, LENGTH, None);
    requests("service=\"idle\",pod=\"idle-1\"", 0.0, 0.0, 0.0, 0, LENGTH, None);
    requests("service=\"calm\",pod=\"calm-1\"", 2.0, 0.05, 0.0, 0, LENGTH, None);
    for (status, rate) in [("200", 3.5), ("503", 0.25), ("0", 0.25)] {
        let calls =
            format!("pymicro_client_requests_total{{service=\"web\",callee=\"cart\",status=\"{status}\"}}");
        samples.counter(&calls, times(), rate, None);
    }
    let call = "{service=\"web\",callee=\"cart\"}";
    samples.counter(&format!("pymicro_client_request_duration_seconds_sum{call}"), times(), 0.5, None);
    samples.counter(&format!("pymicro_client_request_duration_seconds_count{call}"), times(), 4.0, None);
    samples.counter("process_cpu_seconds_total{service=\"web\",pod=\"web-1\"}", times(), 0.5, Some(RESTART));
    samples.counter("process_cpu_seconds_total{service=\"cart\",pod=\"cart-1\"}", times(), 0.25, None);
    samples.counter("process_cpu_seconds_total{service=\"cart\",pod=\"cart-2\"}", times(), 0.125, None);
    samples.counter("process_cpu_seconds_total{job=\"prometheus\"}", times(), 0.9, None);
    // What a cluster scrapes besides.
    let other = "{service=\"operator\",namespace=\"monitoring\"}";
    samples.counter(&format!("process_cpu_seconds_total{other}"), times(), 0.75, None);
    samples.gauge(&format!("process_resident_memory_bytes{other}"), times(), 5e7);
    samples.counter("pymicro_io_bytes_total{service=\"web\",direction=\"read\"}", times(), 1000.0, None);
    samples.counter("pymicro_io_bytes_total{service=\"web\",direction=\"write\"}", times(), 24.0, None);
    samples.gauge("process_resident_memory_bytes{service=\"web\",pod=\"web-1\"}", times(), 123_456_789.0);
    samples.gauge("process_resident_memory_bytes{service=\"cart\",pod=\"cart-1\"}", times(), 1e8);
    samples.gauge("process_resident_memory_bytes{service=\"cart\",pod=\"cart-2\"}", times(), 2e8);
}

fn node_exporter(samples: &mut Samples) {
    for (cpu, idle) in [("0", 0.75), ("1", 0.25)] {
        let label = |mode: &str| {
            format!("node_cpu_seconds_total{{instance=\"host:9100\",cpu=\"{cpu}\",mode=\"{mode}\"}}")
        };
        samples.counter(&label("idle"), times(), idle, None);
        samples.counter(&label("user"), times(), 1.0 - idle, None);
    }
    samples.counter(
        "node_disk_reads_completed_total{instance=\"host:9100\",device=\"sda\"}",
        times(),
        30.0,
        None,
    );
    samples.counter(
        "node_disk_reads_completed_total{instance=\"host:9100\",device=\"dm-0\"}",
        times(),
        30.0,
        None,
    );
    samples.counter(
        "node_disk_writes_completed_total{instance=\"host:9100\",device=\"sda\"}",
        times(),
        12.0,
        None,
    );
    samples.counter(
        "node_network_receive_bytes_total{instance=\"host:9100\",device=\"eth0\"}",
        times(),
        5000.0,
        None,
    );
    samples.counter(
        "node_network_receive_bytes_total{instance=\"host:9100\",device=\"lo\"}",
        times(),
        9e9,
        None,
    );
    samples.counter(
        "node_network_transmit_bytes_total{instance=\"host:9100\",device=\"eth0\"}",
        times(),
        700.0,
        None,
    );
    samples.gauge("node_memory_MemTotal_bytes{instance=\"host:9100\"}", times(), 8e9);
    samples.gauge("node_memory_MemAvailable_bytes{instance=\"host:9100\"}", times(), 2e9);
    samples.gauge("up{instance=\"host:9100\",job=\"node-exporter\"}", times(), 1.0);
    samples.gauge("up{instance=\"db:9104\",job=\"mysql\"}", times(), 0.0);
}

/// Deployment `cart` with two pods, of which one is not ready from [`RESTART`] on, and stateful set `redis`.
fn kubernetes(samples: &mut Samples) {
    let pods =
        [("cart-6f5d4c3b2-aaaaa", 0.5, 1e8), ("cart-6f5d4c3b2-bbbbb", 0.25, 2e8), ("redis-0", 0.125, 3e8)];
    for (pod, cpu, memory) in pods {
        let owner =
            if pod.starts_with("cart") { ("ReplicaSet", "cart-6f5d4c3b2") } else { ("StatefulSet", "redis") };
        let of_pod = format!("namespace=\"shop\",pod=\"{pod}\"");
        samples.gauge(
            &format!("kube_pod_owner{{{of_pod},owner_kind=\"{}\",owner_name=\"{}\"}}", owner.0, owner.1),
            times(),
            1.0,
        );
        for (container, share) in [("main", 1.0), ("proxy", 0.5), ("", 9.0), ("POD", 0.01)] {
            let labels = format!("{of_pod},container=\"{container}\"");
            let mut counter = |name: &str, rate: f64| {
                samples.counter(&format!("{name}{{{labels}}}"), times(), rate * share, None);
            };
            counter("container_cpu_usage_seconds_total", cpu);
            counter("container_fs_reads_bytes_total", 1000.0);
            counter("container_fs_writes_bytes_total", 200.0);
            let gauge = format!("container_memory_working_set_bytes{{{labels}}}");
            samples.gauge(&gauge, times(), memory * share);
        }
        samples.counter(
            &format!("container_network_receive_bytes_total{{{of_pod},interface=\"eth0\"}}"),
            times(),
            640.0,
            None,
        );
        samples.counter(
            &format!("container_network_transmit_bytes_total{{{of_pod},interface=\"eth0\"}}"),
            times(),
            64.0,
            None,
        );
        let ready = move |time: i64| Some(f64::from(u8::from(!pod.ends_with("bbbbb") || time < RESTART)));
        samples.add(&format!("kube_pod_status_ready{{{of_pod},condition=\"true\"}}"), times(), ready);
        samples.gauge(&format!("kube_pod_status_ready{{{of_pod},condition=\"false\"}}"), times(), 1.0);
    }
}

/// `web` calls `cart`, whose network adds 20 ms to the 100 ms that it takes; a quarter of the calls fail.
fn istio(samples: &mut Samples) {
    for (reporter, milliseconds) in [("destination", 100.0), ("source", 120.0)] {
        for (code, rate) in [("200", 6.0), ("503", 1.5), ("0", 0.5)] {
            let labels = format!(
                "reporter=\"{reporter}\",source_workload=\"web\",destination_workload=\"cart\",\
                 destination_workload_namespace=\"shop\",response_code=\"{code}\""
            );
            samples.counter(&format!("istio_requests_total{{{labels}}}"), times(), rate, None);
            let duration = |part: &str| format!("istio_request_duration_milliseconds_{part}{{{labels}}}");
            samples.counter(&duration("count"), times(), rate, None);
            samples.counter(&duration("sum"), times(), rate * milliseconds, None);
        }
    }
    samples.counter(
        "istio_requests_total{reporter=\"destination\",source_workload=\"unknown\",destination_workload=\"web\",\
         destination_workload_namespace=\"shop\",response_code=\"200\"}",
        times(),
        3.0,
        None,
    );
}

fn linkerd(samples: &mut Samples) {
    let inbound = "direction=\"inbound\",namespace=\"shop\",deployment=\"cart\"";
    let outbound = "direction=\"outbound\",namespace=\"shop\",deployment=\"web\",dst_deployment=\"cart\"";
    for (labels, milliseconds) in [(inbound, 40.0), (outbound, 55.0)] {
        samples.counter(&format!("request_total{{{labels}}}"), times(), 5.0, None);
        samples.counter(
            &format!("response_total{{{labels},classification=\"success\"}}"),
            times(),
            4.5,
            None,
        );
        samples.counter(
            &format!("response_total{{{labels},classification=\"failure\"}}"),
            times(),
            0.5,
            None,
        );
        samples.counter(&format!("response_latency_ms_count{{{labels}}}"), times(), 5.0, None);
        samples.counter(&format!("response_latency_ms_sum{{{labels}}}"), times(), 5.0 * milliseconds, None);
    }
}

/// `web` serves HTTP as the stable conventions name it, `old` as they did before, `rpc` serves gRPC.
fn opentelemetry(samples: &mut Samples) {
    for (code, rate) in [("200", 3.0), ("500", 1.0)] {
        let labels = format!("service_name=\"web\",http_response_status_code=\"{code}\"");
        let name = "http_server_request_duration_seconds";
        samples.counter(&format!("{name}_count{{{labels}}}"), times(), rate, None);
        samples.counter(&format!("{name}_sum{{{labels}}}"), times(), rate * 0.3, None);
        let labels = format!("service_name=\"old\",http_status_code=\"{code}\"");
        samples.counter(&format!("http_server_duration_milliseconds_count{{{labels}}}"), times(), rate, None);
        samples.counter(
            &format!("http_server_duration_milliseconds_sum{{{labels}}}"),
            times(),
            rate * 80.0,
            None,
        );
    }
    for (code, rate) in [("0", 9.0), ("5", 0.5), ("14", 0.5)] {
        let labels = format!("service_name=\"rpc\",rpc_grpc_status_code=\"{code}\"");
        samples.counter(&format!("rpc_server_duration_milliseconds_count{{{labels}}}"), times(), rate, None);
        samples.counter(
            &format!("rpc_server_duration_milliseconds_sum{{{labels}}}"),
            times(),
            rate * 20.0,
            None,
        );
    }
    samples.counter(
        "process_cpu_time_seconds_total{service_name=\"web\",state=\"user\"}",
        times(),
        0.25,
        None,
    );
    samples.counter(
        "process_cpu_time_seconds_total{service_name=\"web\",state=\"system\"}",
        times(),
        0.125,
        None,
    );
    samples.counter(
        "process_disk_io_bytes_total{service_name=\"web\",direction=\"read\"}",
        times(),
        512.0,
        None,
    );
    samples.gauge("process_memory_usage_bytes{service_name=\"web\"}", times(), 5e7);
    let call = "client=\"web\",server=\"rpc\"";
    samples.counter(&format!("traces_service_graph_request_total{{{call}}}"), times(), 8.0, None);
    samples.counter(&format!("traces_service_graph_request_failed_total{{{call}}}"), times(), 2.0, None);
    samples.counter(
        &format!("traces_service_graph_request_client_seconds_count{{{call}}}"),
        times(),
        8.0,
        None,
    );
    samples.counter(
        &format!("traces_service_graph_request_client_seconds_sum{{{call}}}"),
        times(),
        0.4,
        None,
    );
}
