//! The databases that every test runs on: SQLite always, PostgreSQL where there is one.
//!
//! `TEST_POSTGRES_URL` names a server; without it one is made in a temporary folder. Where neither
//! works the half is skipped and said so; with `TEST_NO_SKIP=1` that is a failure.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mgmt_api::store::ProgramRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;

static POSTGRES: OnceLock<Result<String, String>> = OnceLock::new();

/// One database of a test; gone with it.
pub(crate) struct Database {
    pub(crate) url: String,
    schema: Option<(String, String)>,
    _folder: TempDir,
}

impl Database {
    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("mgmt.db").display());
        Self { url, schema: None, _folder: folder }
    }

    async fn postgres(server: &str) -> Self {
        let schema = format!("test_{}", uuid::Uuid::new_v4().simple());
        let mut connection = PgConnection::connect(server).await.unwrap();
        let create = format!("CREATE SCHEMA {schema}");
        sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
        let joint = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{joint}options[search_path]={schema}");
        let schema = Some((server.to_owned(), schema));
        Self { url, schema, _folder: tempfile::tempdir().unwrap() }
    }
}

impl Database {
    /// Runs one statement of either database, behind the server's back.
    pub(crate) async fn execute(&self, sql: &'static str) {
        self.execute_on(&self.url, sql).await;
    }

    /// The number that a query of either database gives.
    pub(crate) async fn number(&self, sql: &'static str) -> i64 {
        if self.url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
        }
    }

    /// Runs one at another address.
    pub(crate) async fn execute_on(&self, url: &str, sql: &'static str) {
        if url.starts_with("sqlite") {
            let mut connection = SqliteConnection::connect(url).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap();
        } else {
            let mut connection = PgConnection::connect(url).await.unwrap();
            sqlx::query(sql).execute(&mut connection).await.unwrap();
        }
    }
}

/// What was made on a server is dropped, also when the test has failed.
impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, schema)) = self.schema.take() else { return };
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let mut connection = PgConnection::connect(&server).await.unwrap();
                let drop = AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
                sqlx::query(drop).execute(&mut connection).await.unwrap();
            });
        });
        if dropping.join().is_err() && !std::thread::panicking() {
            panic!("the schema was not dropped");
        }
    }
}

/// A fresh database of each kind.
pub(crate) async fn each() -> Vec<Database> {
    let mut databases = vec![Database::sqlite()];
    match tokio::task::spawn_blocking(|| POSTGRES.get_or_init(server)).await.unwrap() {
        Ok(server) => databases.push(Database::postgres(server).await),
        Err(why) => {
            assert!(std::env::var_os("TEST_NO_SKIP").is_none(), "no PostgreSQL: {why}");
            eprintln!("SKIPPED the PostgreSQL half: {why}");
        }
    }
    databases
}

fn server() -> Result<String, String> {
    if let Some(url) = std::env::var_os("TEST_POSTGRES_URL") {
        return url.into_string().map_err(|_url| "TEST_POSTGRES_URL is not UTF-8".to_owned());
    }
    start_temporary().map_err(|error| error.to_string())
}

/// A server of our own on a Unix socket; it ends when this process does, because the shell in
/// front of it waits for the end of its input.
fn start_temporary() -> Result<String, Box<dyn std::error::Error>> {
    let bin = bin_folder().ok_or("neither TEST_POSTGRES_URL nor initdb")?;
    let folder = tempfile::Builder::new().prefix("pointsman-pg").tempdir_in("/tmp")?.keep();
    let root = is_root();
    if root {
        run(Command::new("chown").arg("postgres").arg(&folder))?;
    }
    let script = format!(
        "cd {folder} && {bin}/initdb -D {folder}/data -U postgres -A trust >/dev/null 2>&1 && \
         {{ {bin}/postgres -D {folder}/data -k {folder} -h '' -c fsync=off -c max_connections=400 \
         >{folder}/log 2>&1 & pid=$!; cat >/dev/null; kill -QUIT $pid; wait $pid; \
         rm -rf {folder}; }}",
        folder = folder.display(),
        bin = bin.display()
    );
    let mut command = if root { Command::new("su") } else { Command::new("sh") };
    if root {
        command.args(["postgres", "-c", &script]);
    } else {
        command.args(["-c", &script]);
    }
    // A group of its own, so that Ctrl-C does not end it before its folder is removed.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let child: Child = command.spawn()?;
    let is_ready = || {
        let mut asking = Command::new(bin.join("pg_isready"));
        asking.arg("-q").arg("-h").arg(&folder).status().is_ok_and(|status| status.success())
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_ready() {
        if Instant::now() > deadline {
            return Err(format!("no server in {}", folder.display()).into());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
    // Its input stays open as long as this process lives.
    Box::leak(Box::new(child));
    let host = folder.display().to_string().replace('/', "%2F");
    Ok(format!("postgres://postgres@{host}/postgres"))
}

fn bin_folder() -> Option<PathBuf> {
    let debian = std::fs::read_dir("/usr/lib/postgresql").ok();
    let debian = debian.into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    debian.chain(on_path).find(|folder| folder.join("initdb").exists() && has_server(folder))
}

fn has_server(folder: &Path) -> bool {
    folder.join("postgres").exists()
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn run(command: &mut Command) -> Result<(), Box<dyn std::error::Error>> {
    let status = command.status()?;
    status.success().then_some(()).ok_or_else(|| format!("{command:?}: {status}").into())
}

/// A program with something in every column.
pub(crate) fn program() -> ProgramRow {
    ProgramRow {
        config_id: "0019167984".to_owned(),
        partner_id: 1,
        currency: 978,
        bin: "99999984".to_owned(),
        first_state: "ACTIVE".to_owned(),
        months_valid: 36,
        card_kind: "VIRTUAL".to_owned(),
        auto_balance: 1,
        collateral: "DEPOSIT".to_owned(),
        purchase_hold_hours: 168,
        cash_hold_hours: 72,
        credit_hold_hours: 720,
        partial_approval: 1,
        instant_credit_max: 5,
        wrong_entries_max: 3,
        iban_prefix: Some("PL10901014".to_owned()),
        answer_ms: Some(5),
        on_silence: Some("STAND_IN".to_owned()),
        cardholder_lifts: "USER,SWITCH".to_owned(),
        network_verifies: 1,
        own_bin: 1,
        application_id: Some("APP-17".to_owned()),
        processor: Some(7),
    }
}
