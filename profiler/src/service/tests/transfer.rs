//! A store that moves to another service, or is opened again.

use automap_proto::v1::{self, profiler_service_client::ProfilerServiceClient};
use automap_service_kit::{client::Channel, error::ErrorCode, server::ServeError};
use tonic::Status;

use super::running::{code, config, confirm, directory, field, record, start, weigh_request};
use crate::{open_store, sample};

async fn export(client: &mut ProfilerServiceClient<Channel>) -> Vec<v1::StoreRecord> {
    let mut stream = client.export_store(v1::ExportStoreRequest {}).await.unwrap().into_inner();
    let mut records = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        records.push(message.record.unwrap());
    }
    records
}

async fn import(
    client: &mut ProfilerServiceClient<Channel>,
    records: Vec<v1::StoreRecord>,
) -> Result<u64, Status> {
    let requests = records.into_iter().map(|record| v1::ImportStoreRequest { record: Some(record), mode: 0 });
    let requests = futures::stream::iter(requests.collect::<Vec<_>>());
    client.import_store(requests).await.map(|answer| answer.into_inner().records)
}

#[tokio::test]
async fn a_store_moves_to_another_service_whole_or_not_at_all() {
    let (from, into) = (directory(), directory());
    let mut source = start(from.path()).await;
    source.client.record_incident(record("inc-1")).await.unwrap();
    source.client.confirm_root_cause(confirm("inc-1", &["db"])).await.unwrap();
    let request =
        v1::AddNormalGraphRequest { normal_graph: Some(sample::normal_graph(0)), ..Default::default() };
    source.client.add_normal_graph(request).await.unwrap();
    let records = export(&mut source.client).await;
    let weighed = source.client.weigh_metrics(weigh_request()).await.unwrap().into_inner();

    let mut target = start(into.path()).await;
    let empty = export(&mut target.client).await;
    assert_eq!(empty.len(), 1, "only the end");
    let mut corrupted = records.clone();
    corrupted[1].value[10] ^= 1;
    assert_eq!(field(import(&mut target.client, corrupted).await), "records[1].value");
    assert_eq!(field(import(&mut target.client, records[..2].to_vec()).await), "records");
    let huge = vec![v1::StoreRecord { key: vec![1], value: vec![0; 600 << 10] }; 2];
    assert_eq!(code(import(&mut target.client, huge).await), ErrorCode::Overloaded);
    assert_eq!(export(&mut target.client).await, empty, "nothing was changed");

    assert_eq!(import(&mut target.client, records.clone()).await.unwrap(), records.len() as u64 - 1);
    assert_eq!(export(&mut target.client).await, records);
    assert_eq!(target.client.weigh_metrics(weigh_request()).await.unwrap().into_inner(), weighed);
    target.client.confirm_root_cause(confirm("inc-1", &["cart"])).await.unwrap();
    assert_eq!(code(import(&mut target.client, records).await), ErrorCode::Conflict);
    source.stop().await;
    target.stop().await;
}

#[tokio::test]
async fn the_store_can_be_opened_again_as_soon_as_serve_returns() {
    let store = directory();
    for round in 0..3 {
        let mut running = start(store.path()).await;
        running.client.record_incident(record(&format!("inc-{round}"))).await.unwrap();
        let page =
            running.client.list_incidents(v1::ListIncidentsRequest::default()).await.unwrap().into_inner();
        assert_eq!(page.incidents.len(), round + 1);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_store_in_use_is_a_clear_refusal_to_start() {
    let store = directory();
    let running = start(store.path()).await;
    let error = ServeError::from(open_store(&config(store.path())).await.err().unwrap()).to_string();
    assert!(error.contains("field `profiler.path`"), "{error}");
    assert!(error.contains("in use by another process"), "{error}");
    running.stop().await;
}
