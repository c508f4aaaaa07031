//! Drives Chromium over its DevTools protocol, through a pair of pipes.
//!
//! A crate that does this brings over a hundred others; the page's checks need ten calls.

use base64::Engine as _;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long an answer may take: machines that build meanwhile are slow.
const PATIENCE: Duration = Duration::from_secs(90);

pub(crate) struct Browser {
    child: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    calls: u64,
    session: Option<String>,
    /// What happened since the page was opened.
    pub(crate) events: Vec<Value>,
    _profile: tempfile::TempDir,
}

/// The program, if it is installed. `EGRAFT_CHROMIUM` names another one.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("EGRAFT_CHROMIUM") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let names = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let mut programs =
        names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    programs.find(|program| program.is_file())
}

impl Browser {
    pub(crate) fn start(program: &Path) -> Browser {
        let profile = tempfile::tempdir().unwrap();
        // Chromium reads requests from descriptor 3 and answers on 4.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(program)
            .args(["--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"])
            .args(["--disable-quic", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--hide-scrollbars"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut bytes = Vec::new();
            while output.read_until(0, &mut bytes).is_ok_and(|count| count > 1) {
                bytes.pop();
                let Ok(message) = serde_json::from_slice(&bytes) else { return };
                if sender.send(message).is_err() {
                    return;
                }
                bytes.clear();
            }
        });
        let (calls, session, events) = (0, None, Vec::new());
        Browser { child, input, messages, calls, session, events, _profile: profile }
    }

    /// Opens a file in a new tab whose window has this size.
    pub(crate) fn open(&mut self, file: &Path, width: u32, height: u32) {
        self.open_with(file, width, height, true);
    }

    /// As [`Browser::open`], with or without scripts.
    pub(crate) fn open_with(&mut self, file: &Path, width: u32, height: u32, scripts: bool) {
        self.session = None;
        let target = self.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", attach);
        self.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !scripts}));
        self.resize(width, height);
        self.theme("light");
        self.events.clear();
        let url = format!("file://{}", file.display());
        let answer = self.call("Page.navigate", json!({"url": url}));
        assert!(answer["errorText"].is_null(), "{url}: {answer}");
        // The event that a page is loaded may still be that of the empty page.
        let loaded = "location.protocol === 'file:' && document.readyState === 'complete'";
        let begun = Instant::now();
        while self.eval(loaded) != true {
            assert!(begun.elapsed() < PATIENCE, "{url} is not loaded");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// What the system is said to prefer, `light` or `dark`.
    pub(crate) fn theme(&mut self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features);
    }

    /// The value of an expression in the page.
    pub(crate) fn eval(&mut self, script: &str) -> Value {
        let request = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let mut answer = self.call("Runtime.evaluate", request);
        assert!(answer["exceptionDetails"].is_null(), "{script}: {:#}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Presses and releases a key, as [KeyboardEvent.key] names it.
    pub(crate) fn key(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            " " => (32, " "),
            other => panic!("no code for the key {other:?}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({"type": kind, "key": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Clicks in the middle of the first element that a selector finds.
    pub(crate) fn click(&mut self, selector: &str) {
        let script = format!(
            "(() => {{
                const element = document.querySelector({selector:?});
                element.scrollIntoView({{block: 'center', inline: 'center'}});
                const box = element.getBoundingClientRect();
                const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
                const hit = document.elementFromPoint(x, y);
                return {{x, y, hit: hit !== null && (element.contains(hit) || hit.contains(element))}};
            }})()"
        );
        let place = self.eval(&script);
        assert_eq!(place["hit"], true, "{selector} is covered by something");
        for kind in ["mousePressed", "mouseReleased"] {
            let (x, y) = (&place["x"], &place["y"]);
            let event = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Writes a picture of the window or of the whole page.
    pub(crate) fn screenshot(&mut self, file: &Path, whole: bool) {
        // What has just come into view is drawn a few frames later.
        std::thread::sleep(Duration::from_millis(300));
        let request =
            json!({"format": "png", "captureBeyondViewport": whole, "clip": self.clip(whole)});
        let answer = self.call("Page.captureScreenshot", request);
        let data = answer["data"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        std::fs::write(file, bytes).unwrap();
    }

    fn clip(&mut self, whole: bool) -> Value {
        /// Chromium draws no taller pictures.
        const TALLEST: f64 = 16_000.0;
        let sizes = self.call("Page.getLayoutMetrics", json!({}));
        let sizes = if whole { &sizes["cssContentSize"] } else { &sizes["cssVisualViewport"] };
        let of =
            |one: &str, other: &str| sizes[one].as_f64().or(sizes[other].as_f64()).unwrap_or(0.0);
        let height = of("height", "clientHeight").min(TALLEST);
        let (x, y) = (of("x", "pageX"), of("y", "pageY"));
        json!({"x": x, "y": y, "width": of("width", "clientWidth"), "height": height, "scale": 1})
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut request = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            request["sessionId"] = session.as_str().into();
        }
        let mut bytes = request.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        loop {
            let mut message = self.receive(method);
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].take();
            }
            self.events.push(message);
        }
    }

    fn receive(&mut self, what: &str) -> Value {
        match self.messages.recv_timeout(PATIENCE) {
            Ok(message) => message,
            Err(error) => panic!("waiting for {what}: {error}; {:?}", self.child.try_wait()),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.input.write_all(b"{\"id\": 0, \"method\": \"Browser.close\"}\0");
        let end = Instant::now() + Duration::from_secs(10);
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
