//! The whole corpus on the oldest and on the newest Envoy that this project supports, and on the
//! engines of this process: what each saw is held against the others.

use local_mesh::envoy::{self, Pinned};
use meshfence::Settings;
use suite::{Check, Corpus, settings};

#[tokio::test]
async fn the_corpus_on_the_oldest_envoy() -> Check {
    play(Pinned::Oldest).await
}

#[tokio::test]
async fn the_corpus_on_the_newest_envoy() -> Check {
    play(Pinned::Newest).await
}

async fn play(pinned: Pinned) -> Check {
    let envoy = envoy::find_pinned(pinned, &mut |line| eprintln!("{line}")).await?;
    let settings = Settings { envoy: envoy.into(), ..settings().await? };
    let comparison = Corpus::read()?.play(settings).await?;
    println!("Envoy {}\n{comparison}", pinned.version());
    Ok(())
}
