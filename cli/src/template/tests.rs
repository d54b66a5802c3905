//! Templates by examples.

use serde_json::{Value, json};

use super::{Template, unescape};

fn sample() -> Value {
    json!({
        "ID": "0123456789abcdef", "Names": "web", "Pid": 42, "Running": true, "Nothing": null, "Cpu": 1.5,
        "State": {"Status": "running", "ExitCode": 0, "Error": ""},
        "Labels": {"a": "1", "b.c": "2"},
        "Mounts": [{"Source": "/a", "RW": true}, {"Source": "/b", "RW": false}],
        "Cmd": ["sh", "-c", "true"], "Empty": [],
    })
}

fn rendered(template: &str) -> String {
    match Template::parse(template).and_then(|template| template.render(&sample())) {
        Ok(text) => text,
        Err(error) => format!("ERROR {error}"),
    }
}

fn check(template: &str, expected: &str) {
    assert_eq!(rendered(template), expected, "{template}");
}

#[test]
fn fields_and_text() {
    check("", "");
    check("plain", "plain");
    check("{{.Names}}", "web");
    check("a {{ .State.Status }} b", "a running b");
    check("{{.Pid}} {{.Running}} {{.Cpu}}", "42 true 1.5");
    check("{{.Nothing}} {{.Nothing.Deeper}}", "<no value> <no value>");
    check("{{.Cmd}}", "[sh -c true]");
    check("{{.Labels}}", "map[a:1 b.c:2]");
    check("{{$.Names}} {{$.State.ExitCode}}", "web 0");
    check("{{(index .Mounts 1).Source}}", "/b");
    check("{{with .State}}{{.Status}} of {{$.Names}}{{end}}", "running of web");
}

#[test]
fn trim_markers_and_comments() {
    check("a {{- .Names -}} b", "awebb");
    check("a\n{{- /* note */ -}}\nb", "ab");
    check("a{{/* note */}}b", "ab");
    check("{{-3}}", "-3");
}

#[test]
fn conditions() {
    check("{{if .Running}}yes{{else}}no{{end}}", "yes");
    check("{{if .Nothing}}yes{{else if eq .Pid 42}}42{{else}}no{{end}}", "42");
    check("{{if .State.Error}}bad{{end}}", "");
    check("{{if and .Running (gt .Pid 40)}}both{{end}}", "both");
    check("{{if not .Empty}}empty{{end}}", "empty");
    check("{{with .Nothing}}x{{else}}none{{end}}", "none");
    check("{{or .State.Error \"fine\"}}", "fine");
    check("{{eq .Names \"db\" \"web\"}} {{ne 1 2}} {{le 2 2}} {{lt \"b\" \"a\"}}", "true true true false");
}

#[test]
fn ranges_and_variables() {
    check("{{range .Mounts}}{{.Source}},{{end}}", "/a,/b,");
    check("{{range $i, $m := .Mounts}}{{$i}}={{$m.Source}} {{end}}", "0=/a 1=/b ");
    check("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=1;b.c=2;");
    check("{{range $word := .Cmd}}{{$word}}|{{end}}", "sh|-c|true|");
    check("{{range .Empty}}x{{else}}none{{end}}", "none");
    check("{{$n := .Names}}{{$n | upper}}", "WEB");
    check("{{$n := 1}}{{range .Cmd}}{{$n = .}}{{end}}{{$n}}", "true");
}

#[test]
fn functions_and_pipelines() {
    check("{{json .State.Status}} {{json .Cmd}}", r#""running" ["sh","-c","true"]"#);
    check("{{.Mounts | json}}", r#"[{"RW":true,"Source":"/a"},{"RW":false,"Source":"/b"}]"#);
    check("{{index .Labels \"b.c\"}}{{index .Labels \"none\"}}", "2");
    check("{{len .Cmd}} {{len .Names}} {{len .Nothing}}", "3 3 0");
    check("{{join .Cmd \" \"}}", "sh -c true");
    check("{{index (split .State.Status \"n\") 0}}", "ru");
    check("{{upper .Names}} {{title \"up and away\"}} {{lower \"ABC\"}}", "WEB Up And Away abc");
    check("{{println .Names .Pid}}", "web 42\n");
    check("{{slice .ID 0 12}} {{truncate .ID 4}}", "0123456789ab 0123");
    check("[{{pad .Names 1 2}}]", "[ web  ]");
    check("{{printf \"%s=%d %v %q %%\" .Names .Pid .Running .Names}}", "web=42 true \"web\" %");
    check(
        "{{printf \"[%-6s|%6s|%04d|%.1f|%.2s|%x]\" .Names .Names 7 .Cpu .Names 255}}",
        "[web   |   web|0007|1.5|we|ff]",
    );
    check("{{.Names | printf \"%s-%s\" \"a\"}}", "a-web");
    check("{{`raw \\n`}} {{\"q\\\"\\t.\"}}", "raw \\n q\"\t.");
}

#[test]
fn mistakes_say_what_and_where() {
    check("{{.Name}}", "ERROR template: no field \"Name\": did you mean \"Names\"?");
    check("{{.Names.X}}", "ERROR template: no field \"X\" in a plain value");
    check("{{uper .Names}}", "ERROR template: at byte 2: function \"uper\" not defined: did you mean \"upper\"?");
    check("{{.Names", "ERROR template: at byte 8: unclosed action: expected }}");
    check("{{if .Names}}x", "ERROR template: at byte 13: expected {{end}}");
    check("x{{end}}", "ERROR template: at byte 6: unexpected {{end}}");
    check("{{template \"x\"}}", "ERROR template: at byte 0: {{template}} is not offered here");
    check("{{.Names .Pid}}", "ERROR template: at byte 9: only a function can have arguments");
    check("{{.Names | .Pid}}", "ERROR template: at byte 11: only a function can stand after |");
    check("{{index .Cmd 9}}", "ERROR template: index: 9 is beyond the 3 items");
    check("{{join .Names \",\"}}", "ERROR template: join: \"web\" is not a list");
    check("{{printf \"%d\" .Names}}", "ERROR template: printf: %d wants an integer, got \"web\"");
    check("{{eq .Names}}", "ERROR template: eq: wants at least 2 arguments, got 1");
    check("{{\"open}}", "ERROR template: at byte 2: unterminated quoted string");
    check("{{$x}}", "ERROR template: $x: undefined variable");
    check("{{}}", "ERROR template: at byte 0: missing value");
}

#[test]
fn no_input_overflows_the_stack() {
    let deep = format!("{{{{{}1{}}}}}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(rendered(&deep).contains("nested too deeply"));
    let deep = "{{if 1}}".repeat(100_000);
    assert!(rendered(&deep).contains("nested too deeply"));
}

#[test]
fn shell_escapes() {
    assert_eq!(unescape("{{.A}}\\t{{.B}}\\n"), "{{.A}}\t{{.B}}\n");
}
