//! Accepts connections and carries out commands.

use super::command::{Command, parse};
use super::connection::Connection;
use super::faults::Faults;
use anyhow::{Context, Result};
use socket2::SockRef;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The longest command line.
const LINE_BYTES_MAX: usize = 4096;

/// The faults, and who is told when they change.
pub(super) struct Shared {
    faults: Mutex<Faults>,
    changed: watch::Sender<()>,
}

impl Shared {
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Faults) -> T) -> T {
        look(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }
}

/// Carries out commands.
#[derive(Clone)]
pub(super) struct Control {
    shared: Arc<Shared>,
    /// Whether connections are accepted.
    door: watch::Receiver<bool>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({})", self.shared.with(|faults| faults.status()))
    }
}

impl Control {
    /// Carries out a command. What it changes holds for all that comes after the answer.
    pub(super) async fn execute(&self, text: &str) -> Result<String> {
        let command = parse(text)?;
        let answer = self.shared.with(|faults| change(faults, command));
        self.shared.changed.send_replace(());
        let open = self.shared.with(|faults| !faults.refusing);
        self.door
            .clone()
            .wait_for(|now| *now == open)
            .await
            .context("the proxy can listen no more")?;
        Ok(answer)
    }
}

fn change(faults: &mut Faults, command: Command) -> String {
    match command {
        Command::Pass => faults.pass(),
        Command::Delay(ways, late) => ways
            .into_iter()
            .for_each(|way| faults.standing(way).late = late),
        Command::Throttle(ways, rate) => ways
            .into_iter()
            .for_each(|way| faults.standing(way).rate = rate),
        Command::Hold(ways) => ways
            .into_iter()
            .for_each(|way| faults.standing(way).hold = true),
        Command::Release => faults.release(),
        Command::Shoot(shot) => faults.arm(shot),
        Command::Close => faults.closes += 1,
        Command::Reset => faults.resets += 1,
        Command::Refuse => faults.refusing = true,
        Command::Random(seed, percent) => faults.draw(seed, percent),
        Command::Status => return faults.status(),
        Command::Events => return faults.events(),
    }
    String::new()
}

/// Listens at `address` and forwards to `target`.
pub(super) async fn start(address: String, target: String) -> Result<(SocketAddr, Control)> {
    let listener = TcpListener::bind(&address).await?;
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared {
        faults: Mutex::default(),
        changed: watch::Sender::new(()),
    });
    let (door, open) = watch::channel(true);
    let control = Control {
        shared: shared.clone(),
        door: open,
    };
    tokio::spawn(accept_all(listener, address, target, shared, door));
    Ok((address, control))
}

/// Ends only when the address cannot be listened at again.
async fn accept_all(
    mut listener: TcpListener,
    address: SocketAddr,
    target: String,
    shared: Arc<Shared>,
    door: watch::Sender<bool>,
) {
    let mut changes = shared.changes();
    loop {
        if shared.with(|faults| faults.refusing) {
            drop(listener); // so the system itself refuses
            door.send_replace(false);
            while shared.with(|faults| faults.refusing) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
            let Ok(again) = TcpListener::bind(address).await else {
                return;
            };
            listener = again;
            door.send_replace(true);
        }
        tokio::select! {
            _ = changes.changed() => {}
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue }; // it had gone already
                let number = shared.with(|faults| {
                    faults.accepted += 1;
                    faults.open += 1;
                    faults.accepted
                });
                tokio::spawn(forward(number, client, target.clone(), shared.clone()));
            }
        }
    }
}

async fn forward(number: u64, client: TcpStream, target: String, shared: Arc<Shared>) {
    match TcpStream::connect(&target).await {
        Ok(server) => {
            for stream in [&client, &server] {
                _ = stream.set_nodelay(true); // a delay is what it is told to make
            }
            Connection::new(number, client, server).run(&shared).await;
        }
        Err(_) => _ = SockRef::from(&client).set_linger(Some(Duration::ZERO)), // refused there, so reset here
    }
    shared.with(|faults| faults.open -= 1);
}

/// Takes commands at `address`.
pub(super) async fn serve_control(address: String, control: Control) -> Result<SocketAddr> {
    let listener = TcpListener::bind(&address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            tokio::spawn(serve_lines(stream, control.clone()));
        }
    });
    Ok(address)
}

async fn serve_lines(stream: TcpStream, control: Control) {
    let mut waiting = Vec::new();
    let mut buffer = [0; LINE_BYTES_MAX];
    loop {
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            let answer = match control.execute(String::from_utf8_lossy(&line).trim()).await {
                Ok(answer) => format!("ok {answer}").trim_end().to_owned(),
                Err(error) => format!("error {error:#}").replace('\n', " "),
            };
            if write_all(&stream, format!("{answer}\n").as_bytes())
                .await
                .is_err()
            {
                return;
            }
        }
        if waiting.len() >= LINE_BYTES_MAX || stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(bytes) => waiting.extend_from_slice(&buffer[..bytes]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
