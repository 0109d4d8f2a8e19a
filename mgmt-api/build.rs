//! Rebuilds when a migration file comes or goes: `sqlx::migrate!` reads the folders at compile
//! time and cargo does not know of them.

fn main() -> std::io::Result<()> {
    std::io::Write::write_all(
        &mut std::io::stdout(),
        b"cargo:rerun-if-changed=migrations\ncargo:rerun-if-changed=build.rs\n",
    )
}
