//! `fault-proxy LISTEN TARGET [CONTROL]`: forwards the TCP connections that come to LISTEN to TARGET, and takes commands at
//! CONTROL (default: a free port of 127.0.0.1), one a line. The documentation of `streamhost_tests::fault_proxy` lists them.
//! Prints `listening ADDRESS control ADDRESS` once it does, and runs until it is ended.

use anyhow::Result;
use streamhost_tests::fault_proxy::FaultProxy;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (listen, target, control) = match arguments.as_slice() {
        [listen, target] => (listen, target, "127.0.0.1:0"),
        [listen, target, control] => (listen, target, control.as_str()),
        _ => anyhow::bail!("usage: fault-proxy LISTEN TARGET [CONTROL]"),
    };
    let proxy = FaultProxy::listen(listen, target)?;
    let control = proxy.serve_control(control)?;
    println!("listening {} control {control}", proxy.address());
    loop {
        std::thread::park();
    }
}
