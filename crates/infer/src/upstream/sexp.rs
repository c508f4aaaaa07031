//! ISLE text as trees: just enough of the syntax to read the rule files of Cranelift's mid-end.
//!
//! Knows no terms. Invariant: text that nests deeper than [`DEPTH_LIMIT`] is refused, so recursion
//! over a tree is bounded.

/// The deepest nesting that is read.
const DEPTH_LIMIT: usize = 200;

/// A tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Sexp {
    /// A name or a number.
    Atom(String),
    /// What stands between parentheses.
    List(Vec<Sexp>),
    /// `name @ pattern`.
    At(String, Box<Sexp>),
}

impl Sexp {
    pub(super) fn atom(text: impl Into<String>) -> Sexp {
        Sexp::Atom(text.into())
    }

    pub(super) fn call(head: &str, args: Vec<Sexp>) -> Sexp {
        Sexp::List([vec![Sexp::atom(head)], args].concat())
    }

    /// The name, if this is one atom.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Sexp::Atom(name) => Some(name),
            _ => None,
        }
    }

    /// The first name of a list and what follows it.
    pub(super) fn parts(&self) -> Option<(&str, &[Sexp])> {
        match self {
            Sexp::List(all) => {
                all.split_first().and_then(|(head, args)| Some((head.name()?, args)))
            }
            _ => None,
        }
    }

    /// A number written in decimal or hexadecimal, `_` allowed.
    pub(super) fn number(&self) -> Option<i128> {
        let text = self.name()?.replace('_', "");
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text.as_str()),
        };
        let number = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
            Some(hex) => i128::from_str_radix(hex, 16).ok()?,
            None if digits.starts_with(|c: char| c.is_ascii_digit()) => digits.parse().ok()?,
            None => return None,
        };
        Some(sign * number)
    }

    /// The tree with every name replaced for which `by` has something; heads of lists are kept.
    pub(super) fn replace(&self, by: &impl Fn(&str) -> Option<Sexp>) -> Sexp {
        match self {
            Sexp::Atom(name) => by(name).unwrap_or_else(|| self.clone()),
            Sexp::At(name, inner) => {
                let inner = inner.replace(by);
                match by(name) {
                    Some(Sexp::Atom(name)) => Sexp::At(name, Box::new(inner)),
                    // Bound to a pattern already: both must match.
                    Some(other) => Sexp::call("and", vec![other, inner]),
                    None => Sexp::At(name.clone(), Box::new(inner)),
                }
            }
            Sexp::List(all) => Sexp::List(
                all.iter()
                    .enumerate()
                    .map(|(at, one)| if at == 0 { one.clone() } else { one.replace(by) })
                    .collect(),
            ),
        }
    }
}

/// The top forms of a file, each with the line it starts on; what follows an error is dropped with
/// a message.
pub(super) fn parse(text: &str) -> Result<Vec<(u32, Sexp)>, String> {
    let mut tokens = tokens(text);
    let mut forms = Vec::new();
    tokens.reverse();
    while let Some((line, _)) = tokens.last() {
        let line = *line;
        forms.push((line, tree(&mut tokens, 0)?));
    }
    Ok(forms)
}

fn tokens(text: &str) -> Vec<(u32, String)> {
    let mut tokens = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let code = line.split(';').next().unwrap_or("");
        let mut word = String::new();
        for c in code.chars().chain([' ']) {
            let ends = c.is_whitespace() || matches!(c, '(' | ')' | '@');
            if !ends {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                tokens.push((at as u32 + 1, std::mem::take(&mut word)));
            }
            if !c.is_whitespace() {
                tokens.push((at as u32 + 1, c.to_string()));
            }
        }
    }
    tokens
}

fn tree(tokens: &mut Vec<(u32, String)>, depth: usize) -> Result<Sexp, String> {
    let (line, token) = tokens.pop().ok_or("the text ends inside a form")?;
    if depth > DEPTH_LIMIT {
        return Err(format!("line {line}: nested deeper than {DEPTH_LIMIT}"));
    }
    if token == "(" {
        let mut all = Vec::new();
        while tokens.last().is_some_and(|(_, token)| token != ")") {
            all.push(tree(tokens, depth + 1)?);
        }
        tokens.pop().ok_or_else(|| format!("line {line}: `(` is never closed"))?;
        return Ok(Sexp::List(all));
    }
    if token == ")" || token == "@" {
        return Err(format!("line {line}: unexpected `{token}`"));
    }
    if tokens.last().is_some_and(|(_, token)| token == "@") {
        tokens.pop();
        return Ok(Sexp::At(token, Box::new(tree(tokens, depth + 1)?)));
    }
    Ok(Sexp::Atom(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_names_and_numbers_are_read() {
        let forms = parse("; none\n(a b@(c 0xFF_00) ; end\n -1)\n(d)").unwrap();
        assert_eq!(forms.len(), 2);
        assert_eq!((forms[0].0, forms[1].0), (2, 4));
        let (head, args) = forms[0].1.parts().unwrap();
        assert_eq!((head, args[1].number()), ("a", Some(-1)));
        let Sexp::At(name, inner) = &args[0] else { panic!("{args:?}") };
        assert_eq!((name.as_str(), inner.parts().unwrap().1[0].number()), ("b", Some(0xff00)));
        assert!(parse("(a").is_err() && parse(")").is_err());
        assert!(parse(&"(".repeat(1000)).is_err());
    }
}
