use super::*;
use serde_json::json;

fn blur() -> Json {
    json!({
        "name": "blur", "func": "blur", "wasm": "blur.wasm", "generator": "ignored",
        "native": { "avx2": "native/blur.so" }, "tol": [0.0, 1e-4],
        "args": [
            { "kind": "input", "name": "in", "type": "u8", "dims": 2, "mins": [-1, 0],
              "extents": [18, 6], "strides": [1, 20], "fill": [0, 255] },
            { "kind": "scalar", "name": "thr", "type": "i16", "value": -100 },
            { "kind": "output", "name": "out", "type": "u16", "dims": 2, "mins": [0, 0],
              "extents": [16, 4], "strides": [1, 16] }
        ],
        "out_elems": 64
    })
}

fn parse(json: &Json) -> Result<Kernel, String> {
    Kernel::parse(Path::new("dir/k.json"), json.to_string().as_bytes())
        .map_err(|error| error.to_string())
}

/// Sets the value at a JSON pointer, or removes it, and expects this key and text in the error.
fn refuses(pointer: &str, value: Option<Json>, key: &str, text: &str) {
    let mut json = blur();
    match value {
        Some(value) => *json.pointer_mut(pointer).unwrap() = value,
        None => {
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            json.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
        }
    }
    let error = parse(&json).unwrap_err();
    assert!(error.starts_with(&format!("dir/k.json: `{key}`: ")), "{error}");
    assert!(error.contains(text), "{error}");
}

#[test]
fn a_good_descriptor_is_read() {
    let kernel = parse(&blur()).unwrap();
    assert_eq!(kernel.wasm, Path::new("dir/blur.wasm"));
    assert_eq!(kernel.native["avx2"], Path::new("dir/native/blur.so"));
    assert_eq!(kernel.tolerance, Some((0.0, 1e-4)));
    let [Argument::Buffer(input), Argument::Scalar { value, .. }, Argument::Buffer(_)] =
        kernel.sizes[0].args.as_slice()
    else {
        panic!("{:?}", kernel.sizes)
    };
    assert_eq!(value.as_integer(), Some(-100));
    assert_eq!((input.elements(), input.span()), (18 * 6, 5 * 20 + 18));
    assert_eq!(input.coordinates(0), Some(vec![-1, 0]));
    assert_eq!(input.coordinates(41), Some(vec![0, 2]));
    assert_eq!(input.coordinates(39), None);
}

#[test]
fn further_sizes_are_checked_too() {
    let mut json = blur();
    json["sizes"] = json!([{ "args": json["args"].clone(), "out_elems": 64 }]);
    assert_eq!(parse(&json).unwrap().sizes.len(), 2);
    json["sizes"][0]["args"][2]["extents"][0] = json!(17);
    let error = parse(&json).unwrap_err();
    assert!(error.contains("`sizes[0].args[2].strides[1]`"), "{error}");
}

#[test]
fn bad_keys_are_named() {
    refuses("/name", Some(json!("")), "name", "not a name");
    refuses("/func", Some(json!("../x")), "func", "not a name");
    refuses("/wasm", Some(json!("")), "wasm", "file name");
    refuses("/native/avx2", Some(json!("")), "native.avx2", "file name");
    refuses("/tol/1", Some(json!(-1)), "tol[1]", "zero or more");
    refuses("/args", Some(json!([])), "args", "0 arguments");
    refuses("/args/0/kind", Some(json!("inout")), "args[0].kind", "unknown kind");
    refuses("/args/0/type", Some(json!("f16")), "args[0].type", "unknown type");
    refuses("/args/0/dims", Some(json!(3)), "args[0].mins", "2 entries for 3");
    refuses("/args/0/dims", Some(json!(-1)), "args[0].dims", "0 to 16");
    refuses("/args/0/mins", Some(json!([0])), "args[0].mins", "1 entries for 2");
    refuses("/args/0/mins/0", Some(json!(i32::MAX)), "args[0].mins[0]", "32 bits");
    refuses("/args/0/extents", None, "args[0].extents", "missing");
    refuses("/args/0/extents/1", Some(json!(-4)), "args[0].extents[1]", "1 or more");
    refuses("/args/0/extents/1", Some(json!(0)), "args[0].extents[1]", "1 or more");
    refuses("/args/0/extents/1", Some(json!(1i64 << 40)), "args[0].extents[1]", "32 bits");
    refuses("/args/0/extents/1", Some(json!(i32::MAX)), "args[0].extents", "bytes");
    refuses("/args/0/strides", None, "args[0].strides", "missing");
    refuses("/args/0/strides/1", Some(json!(17)), "args[0].strides[1]", "overlap");
    refuses("/args/0/strides/1", Some(json!(0)), "args[0].strides[1]", "1 or more");
    refuses("/args/0/strides/1", Some(json!(-20)), "args[0].strides[1]", "1 or more");
    refuses("/args/0/strides/1", Some(json!(i32::MAX)), "args[0].extents", "bytes");
    refuses("/args/0/fill", None, "args[0].fill", "needs `fill` or `data`");
    refuses("/args/0/fill", Some(json!([1])), "args[0].fill", "[lowest, highest]");
    refuses("/args/0/fill", Some(json!([2, 1])), "args[0].fill", "ascending");
    refuses("/args/0/fill/1", Some(json!(256)), "args[0].fill[1]", "does not fit u8");
    refuses("/args/1/value", None, "args[1].value", "missing");
    refuses("/args/1/value", Some(json!(40000)), "args[1].value", "does not fit i16");
    refuses("/args/2/kind", Some(json!("input")), "args[2].fill", "needs");
    refuses("/out_elems", Some(json!(65)), "out_elems", "64 elements");
}

#[test]
fn literal_data_must_cover_the_buffer() {
    let mut json = blur();
    let input = json["args"][0].as_object_mut().unwrap();
    input.remove("fill");
    input.insert("data".into(), json!([1, 2, 3]));
    let error = parse(&json).unwrap_err();
    assert!(error.contains("`args[0].data`: has 3 values, the buffer 118"), "{error}");
    json["args"][0]["data"] = Json::Array(vec![json!(7); 118]);
    assert!(parse(&json).is_ok());
    json["args"][0]["data"][5] = json!(-1);
    assert!(parse(&json).unwrap_err().contains("`args[0].data[5]`"));
}

#[test]
fn two_huge_buffers_are_refused_together() {
    let mut json = blur();
    json["args"][0]["extents"] = json!([1 << 15, 24 << 10]);
    json["args"][0]["strides"] = json!([1, 1 << 15]);
    json["args"][2]["extents"] = json!([1 << 15, 12 << 10]);
    json["args"][2]["strides"] = json!([1, 1 << 15]);
    let error = parse(&json).unwrap_err();
    assert!(error.contains("`args[2].extents`: the arguments need more than"), "{error}");
}

#[test]
fn text_that_is_not_json_has_a_line_and_a_column() {
    let error = Kernel::parse(Path::new("k.json"), b"{\n  \"name\": }").unwrap_err().to_string();
    assert_eq!(error, "k.json:2:11: expected value");
    let error = Kernel::parse(Path::new("k.json"), b"{\"name\": 3}").unwrap_err().to_string();
    assert!(error.starts_with("k.json:1:10: invalid type"), "{error}");
    let deep = "[".repeat(100_000);
    assert!(Kernel::parse(Path::new("k.json"), deep.as_bytes()).is_err());
}
