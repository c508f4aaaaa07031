//! What ops compute, as WGSL: the one definition over a domain whose values are words of 32 bits.
//!
//! Every primitive becomes straight-line code, without what is known when it is written. Floats are left out: WGSL may
//! round and flush them as it likes. Invariant: a value of `w` bits has `w.div_ceil(32)` words, and zeros above its width.

use egraft_ir::Node;
use egraft_ir::semantics::{Domain, Float, Rounding, apply};
use std::fmt::Write as _;

/// A word: known, or the variable with this number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word {
    Known(u32),
    Var(u32),
}

const ZERO: Word = Word::Known(0);

/// A truth value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Truth {
    Known(bool),
    Var(u32),
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Word::Known(value) => write!(f, "{value:#x}u"),
            Word::Var(name) => write!(f, "v{name}"),
        }
    }
}

impl std::fmt::Display for Truth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Truth::Known(value) => write!(f, "{value}"),
            Truth::Var(name) => write!(f, "v{name}"),
        }
    }
}

/// Code as it is written.
#[derive(Debug, Default)]
struct Wgsl {
    text: String,
    vars: u32,
    /// Whether something was asked that there is no code for.
    lacks: bool,
}

/// A function `name` that computes a node from operands of 128 bits each, to 128 bits. `None` where there is no code for
/// it, as for float arithmetic and quotients of more than 32 bits.
pub(crate) fn function(name: &str, node: &Node) -> Option<String> {
    let mut code = Wgsl::default();
    let mut args = Vec::new();
    let mut head = format!("fn {name}(");
    for at in 0..node.op.arity() {
        let _ = write!(head, "{}a{at}: vec4<u32>", if at > 0 { ", " } else { "" });
        let bits = node.op.operand_type(node.ty, node.from, at).map_or(128, |ty| ty.bits());
        let words = (0..words_of(bits)).map(|word| code.word(&format!("a{at}[{word}]"))).collect();
        let whole: Vec<Word> = words;
        args.push(code.cut(whole, bits));
    }
    let mut words = apply(&mut code, node, &args).ok()?;
    words.resize(4, ZERO);
    let [a, b, c, d] = words[..] else { return None };
    (!code.lacks).then(|| {
        format!(
            "{head}) -> vec4<u32> {{\n{}    return vec4<u32>({a}, {b}, {c}, {d});\n}}\n",
            code.text
        )
    })
}

const fn words_of(bits: u32) -> usize {
    bits.div_ceil(32) as usize
}

/// The ones of the last word of `w` bits.
const fn last_mask(w: u32) -> u32 {
    u32::MAX >> ((32 - w % 32) % 32)
}

impl Wgsl {
    fn line(&mut self, value: &str) -> u32 {
        let name = self.vars;
        self.vars += 1;
        let _ = writeln!(self.text, "    let v{name} = {value};");
        name
    }

    fn word(&mut self, value: &str) -> Word {
        Word::Var(self.line(value))
    }

    fn truth(&mut self, value: &str) -> Truth {
        Truth::Var(self.line(value))
    }

    fn and_word(&mut self, a: Word, b: Word) -> Word {
        match (a, b) {
            (Word::Known(a), Word::Known(b)) => Word::Known(a & b),
            (ZERO, _) | (_, ZERO) => ZERO,
            (Word::Known(u32::MAX), x) | (x, Word::Known(u32::MAX)) => x,
            _ => self.word(&format!("{a} & {b}")),
        }
    }

    fn or_word(&mut self, a: Word, b: Word) -> Word {
        match (a, b) {
            (Word::Known(a), Word::Known(b)) => Word::Known(a | b),
            (ZERO, x) | (x, ZERO) => x,
            _ => self.word(&format!("{a} | {b}")),
        }
    }

    fn xor_word(&mut self, a: Word, b: Word) -> Word {
        match (a, b) {
            (Word::Known(a), Word::Known(b)) => Word::Known(a ^ b),
            (ZERO, x) | (x, ZERO) => x,
            _ => self.word(&format!("{a} ^ {b}")),
        }
    }

    /// Shifted by less than 32.
    fn shl_word(&mut self, a: Word, by: u32) -> Word {
        match a {
            _ if by == 0 => a,
            Word::Known(a) => Word::Known(a << by),
            Word::Var(_) => self.word(&format!("{a} << {by}u")),
        }
    }

    /// Shifted by less than 32.
    fn shr_word(&mut self, a: Word, by: u32) -> Word {
        match a {
            _ if by == 0 => a,
            Word::Known(a) => Word::Known(a >> by),
            Word::Var(_) => self.word(&format!("{a} >> {by}u")),
        }
    }

    fn pick(&mut self, c: Truth, a: Word, b: Word) -> Word {
        match c {
            Truth::Known(true) => a,
            Truth::Known(false) => b,
            Truth::Var(_) if a == b => a,
            Truth::Var(_) => self.word(&format!("select({b}, {a}, {c})")),
        }
    }

    /// The low `w` bits.
    fn cut(&mut self, mut x: Vec<Word>, w: u32) -> Vec<Word> {
        x.resize(words_of(w), ZERO);
        if let Some(last) = x.last_mut() {
            *last = self.and_word(*last, Word::Known(last_mask(w)));
        }
        x
    }

    /// Whether all words fulfil what `of` says of one.
    fn all(&mut self, tests: &[String]) -> Truth {
        match tests {
            [] => Truth::Known(true),
            tests => self.truth(&tests.join(" && ")),
        }
    }

    fn sum(&mut self, w: u32, a: &[Word], b: &[Word]) -> Vec<Word> {
        let words = words_of(w);
        let mut carry = ZERO;
        let mut sum = Vec::with_capacity(words);
        for at in 0..words {
            let (x, y) = (a[at], b[at]);
            let first = self.add_word(x, y);
            let whole = self.add_word(first, carry);
            sum.push(whole);
            if at + 1 < words {
                let one = self.word(&format!("select(0u, 1u, {first} < {x})"));
                let other = match carry {
                    ZERO => ZERO,
                    _ => self.word(&format!("select(0u, 1u, {whole} < {first})")),
                };
                carry = self.or_word(one, other);
            }
        }
        self.cut(sum, w)
    }

    fn add_word(&mut self, a: Word, b: Word) -> Word {
        match (a, b) {
            (Word::Known(a), Word::Known(b)) => Word::Known(a.wrapping_add(b)),
            (ZERO, x) | (x, ZERO) => x,
            _ => self.word(&format!("{a} + {b}")),
        }
    }

    /// The low word of a product.
    fn product(&mut self, a: Word, b: Word) -> Word {
        match (a, b) {
            (Word::Known(a), Word::Known(b)) => Word::Known(a.wrapping_mul(b)),
            _ => self.word(&format!("{a} * {b}")),
        }
    }

    /// Shifted up by a known number of bits, within `w`.
    fn up(&mut self, w: u32, x: &[Word], by: u32) -> Vec<Word> {
        let (whole, rest) = ((by / 32) as usize, by % 32);
        let shifted: Vec<Word> = (0..words_of(w))
            .map(|at| {
                let word = |at: Option<usize>| at.and_then(|at| x.get(at)).copied().unwrap_or(ZERO);
                let high = self.shl_word(word(at.checked_sub(whole)), rest);
                match rest {
                    0 => high,
                    _ => {
                        let low = self.shr_word(word(at.checked_sub(whole + 1)), 32 - rest);
                        self.or_word(high, low)
                    }
                }
            })
            .collect();
        self.cut(shifted, w)
    }

    /// Shifted down by a known number of bits, to `w` bits.
    fn down(&mut self, w: u32, x: &[Word], by: u32) -> Vec<Word> {
        let (whole, rest) = ((by / 32) as usize, by % 32);
        let shifted: Vec<Word> = (0..words_of(w))
            .map(|at| {
                let word = |at: usize| x.get(at).copied().unwrap_or(ZERO);
                let low = self.shr_word(word(at + whole), rest);
                match rest {
                    0 => low,
                    _ => {
                        let high = self.shl_word(word(at + whole + 1), 32 - rest);
                        self.or_word(low, high)
                    }
                }
            })
            .collect();
        self.cut(shifted, w)
    }

    /// Shifts by an amount below `w`, known or not: bit by bit of the amount.
    fn shifted(
        &mut self,
        w: u32,
        x: &[Word],
        amount: &[Word],
        by: fn(&mut Wgsl, u32, &[Word], u32) -> Vec<Word>,
    ) -> Vec<Word> {
        if let Word::Known(amount) = amount[0] {
            return by(self, w, x, amount);
        }
        let mut x = x.to_vec();
        for bit in 0..u32::BITS - (w - 1).leading_zeros() {
            let moved = by(self, w, &x, 1 << bit);
            let moves = self.truth(&format!("(({} >> {bit}u) & 1u) != 0u", amount[0]));
            x = self.ite(w, &moves, &moved, &x);
        }
        x
    }

    fn is_negative(&mut self, w: u32, x: &[Word]) -> Truth {
        let (word, bit) = (x[(w - 1) as usize / 32], 1u32 << ((w - 1) % 32));
        match word {
            Word::Known(word) => Truth::Known(word & bit != 0),
            Word::Var(_) => self.truth(&format!("({word} & {bit:#x}u) != 0u")),
        }
    }

    /// Bits of the sign, in every word.
    fn signs(&mut self, w: u32, x: &[Word]) -> Word {
        let negative = self.is_negative(w, x);
        self.pick(negative, Word::Known(u32::MAX), ZERO)
    }

    /// Shifted down by a known number of bits, with copies of the sign above.
    fn down_signed(&mut self, w: u32, x: &[Word], by: u32) -> Vec<Word> {
        let mut wide = self.sext(&x.to_vec(), w, 32 * words_of(w) as u32);
        let sign = self.signs(w, x);
        wide.resize(2 * words_of(w) + 1, sign);
        self.down(w, &wide, by)
    }

    fn lack(&mut self, w: u32) -> Vec<Word> {
        self.lacks = true;
        vec![ZERO; words_of(w)]
    }

    fn lacks_truth(&mut self) -> Truth {
        self.lacks = true;
        Truth::Known(false)
    }

    /// A quotient or remainder of numbers of at most 32 bits; `signed` ones are cut to `w` bits.
    fn divided(
        &mut self,
        w: u32,
        op: &str,
        signed: bool,
        a: &Vec<Word>,
        b: &Vec<Word>,
    ) -> Vec<Word> {
        if w > 32 {
            return self.lack(w);
        }
        let result = if signed {
            let (a, b) = (self.sext(a, w, 32), self.sext(b, w, 32));
            let (a, b) = (a[0], b[0]);
            // Divisors of 0 and quotients that overflow have no value.
            let b = self.word(&format!(
                "select({b}, 1u, {b} == 0u || ({a} == 0x80000000u && {b} == 0xffffffffu))"
            ));
            self.word(&format!("bitcast<u32>(bitcast<i32>({a}) {op} bitcast<i32>({b}))"))
        } else {
            let b = self.word(&format!("max({}, 1u)", b[0]));
            self.word(&format!("{} {op} {b}", a[0]))
        };
        self.cut(vec![result], w)
    }
}

impl Domain for Wgsl {
    type Bits = Vec<Word>;
    type Bool = Truth;

    fn constant(&mut self, w: u32, bits: u128) -> Vec<Word> {
        let bits = bits & u128::MAX >> (128 - w);
        (0..words_of(w)).map(|at| Word::Known((bits >> (32 * at)) as u32)).collect()
    }
    fn extract(&mut self, x: &Vec<Word>, low: u32, w: u32) -> Vec<Word> {
        self.down(w, x, low)
    }
    fn concat(
        &mut self,
        high: &Vec<Word>,
        high_width: u32,
        low: &Vec<Word>,
        low_width: u32,
    ) -> Vec<Word> {
        let w = high_width + low_width;
        let high = self.up(w, high, low_width);
        let mut low = low.clone();
        low.resize(words_of(w), ZERO);
        high.iter().zip(low).map(|(high, low)| self.or_word(*high, low)).collect()
    }
    fn zext(&mut self, x: &Vec<Word>, _: u32, to: u32) -> Vec<Word> {
        let mut x = x.clone();
        x.resize(words_of(to), ZERO);
        x
    }
    fn sext(&mut self, x: &Vec<Word>, w: u32, to: u32) -> Vec<Word> {
        let sign = self.signs(w, x);
        let mut x = x.clone();
        x.resize(words_of(w), ZERO);
        if let Some(last) = x.last_mut() {
            let above = self.and_word(sign, Word::Known(!last_mask(w)));
            *last = self.or_word(*last, above);
        }
        x.resize(words_of(to), sign);
        self.cut(x, to)
    }

    fn add(&mut self, w: u32, a: &Vec<Word>, b: &Vec<Word>) -> Vec<Word> {
        self.sum(w, a, b)
    }
    fn sub(&mut self, w: u32, a: &Vec<Word>, b: &Vec<Word>) -> Vec<Word> {
        let ones = Word::Known(u32::MAX);
        let complement: Vec<Word> = b.iter().map(|word| self.xor_word(*word, ones)).collect();
        let one = self.constant(w, 1);
        let negated = self.sum(w, &complement, &one);
        self.sum(w, a, &negated)
    }
    fn mul(&mut self, w: u32, a: &Vec<Word>, b: &Vec<Word>) -> Vec<Word> {
        let words = words_of(w);
        if words == 1 {
            let product = self.product(a[0], b[0]);
            return self.cut(vec![product], w);
        }
        let whole = 32 * words as u32;
        let mut sum = vec![ZERO; words];
        for (i, x) in a.iter().enumerate().take(words) {
            for (j, y) in b.iter().enumerate().take(words - i) {
                if *x == ZERO || *y == ZERO {
                    continue;
                }
                let mut part = vec![ZERO; words];
                part[i + j] = self.product(*x, *y);
                if i + j + 1 < words {
                    part[i + j + 1] = self.word(&format!("high_product({x}, {y})"));
                }
                sum = self.sum(whole, &sum, &part);
            }
        }
        self.cut(sum, w)
    }
    fn udiv(&mut self, w: u32, a: &Vec<Word>, b: &Vec<Word>) -> Vec<Word> {
        self.divided(w, "/", false, a, b)
    }
    fn sdiv(&mut self, w: u32, a: &Vec<Word>, b: &Vec<Word>) -> Vec<Word> {
        self.divided(w, "/", true, a, b)
    }
    fn urem(&mut self, w: u32, a: &Vec<Word>, b: &Vec<Word>) -> Vec<Word> {
        self.divided(w, "%", false, a, b)
    }
    fn srem(&mut self, w: u32, a: &Vec<Word>, b: &Vec<Word>) -> Vec<Word> {
        self.divided(w, "%", true, a, b)
    }

    fn and(&mut self, _: u32, a: &Vec<Word>, b: &Vec<Word>) -> Vec<Word> {
        a.iter().zip(b).map(|(a, b)| self.and_word(*a, *b)).collect()
    }
    fn or(&mut self, _: u32, a: &Vec<Word>, b: &Vec<Word>) -> Vec<Word> {
        a.iter().zip(b).map(|(a, b)| self.or_word(*a, *b)).collect()
    }
    fn xor(&mut self, _: u32, a: &Vec<Word>, b: &Vec<Word>) -> Vec<Word> {
        a.iter().zip(b).map(|(a, b)| self.xor_word(*a, *b)).collect()
    }
    fn not(&mut self, w: u32, a: &Vec<Word>) -> Vec<Word> {
        let flipped = a.iter().map(|word| self.xor_word(*word, Word::Known(u32::MAX))).collect();
        self.cut(flipped, w)
    }
    fn shl(&mut self, w: u32, a: &Vec<Word>, amount: &Vec<Word>) -> Vec<Word> {
        self.shifted(w, a, amount, Wgsl::up)
    }
    fn lshr(&mut self, w: u32, a: &Vec<Word>, amount: &Vec<Word>) -> Vec<Word> {
        self.shifted(w, a, amount, Wgsl::down)
    }
    fn ashr(&mut self, w: u32, a: &Vec<Word>, amount: &Vec<Word>) -> Vec<Word> {
        self.shifted(w, a, amount, Wgsl::down_signed)
    }

    fn is_zero(&mut self, x: &Vec<Word>) -> Truth {
        let known = x.iter().any(|word| matches!(word, Word::Known(word) if *word != 0));
        if known {
            return Truth::Known(false);
        }
        let open = x.iter().filter(|word| **word != ZERO);
        let tests: Vec<String> = open.map(|word| format!("{word} == 0u")).collect();
        self.all(&tests)
    }
    fn eq(&mut self, _: u32, a: &Vec<Word>, b: &Vec<Word>) -> Truth {
        let pairs = a.iter().zip(b).filter(|(a, b)| a != b);
        let tests: Vec<String> = pairs.map(|(a, b)| format!("{a} == {b}")).collect();
        self.all(&tests)
    }
    fn ult(&mut self, _: u32, a: &Vec<Word>, b: &Vec<Word>) -> Truth {
        // From the lowest word on: the higher ones have the last say.
        let mut less = Truth::Known(false);
        for (a, b) in a.iter().zip(b) {
            less = match less {
                Truth::Known(false) => self.truth(&format!("{a} < {b}")),
                _ => self.truth(&format!("{a} < {b} || ({a} == {b} && {less})")),
            };
        }
        less
    }
    fn slt(&mut self, w: u32, a: &Vec<Word>, b: &Vec<Word>) -> Truth {
        let sign = self.constant(w, 1 << (w - 1));
        let (a, b) = (self.xor(w, a, &sign), self.xor(w, b, &sign));
        self.ult(w, &a, &b)
    }
    fn bool_not(&mut self, a: &Truth) -> Truth {
        match a {
            Truth::Known(a) => Truth::Known(!a),
            Truth::Var(_) => self.truth(&format!("!{a}")),
        }
    }
    fn bool_and(&mut self, a: &Truth, b: &Truth) -> Truth {
        self.truth(&format!("{a} && {b}"))
    }
    fn bool_or(&mut self, a: &Truth, b: &Truth) -> Truth {
        self.truth(&format!("{a} || {b}"))
    }
    fn ite(&mut self, _: u32, c: &Truth, a: &Vec<Word>, b: &Vec<Word>) -> Vec<Word> {
        a.iter().zip(b).map(|(a, b)| self.pick(*c, *a, *b)).collect()
    }

    fn fadd(&mut self, f: Float, _: &Vec<Word>, _: &Vec<Word>) -> Vec<Word> {
        self.lack(f.bits())
    }
    fn fsub(&mut self, f: Float, _: &Vec<Word>, _: &Vec<Word>) -> Vec<Word> {
        self.lack(f.bits())
    }
    fn fmul(&mut self, f: Float, _: &Vec<Word>, _: &Vec<Word>) -> Vec<Word> {
        self.lack(f.bits())
    }
    fn fdiv(&mut self, f: Float, _: &Vec<Word>, _: &Vec<Word>) -> Vec<Word> {
        self.lack(f.bits())
    }
    fn fsqrt(&mut self, f: Float, _: &Vec<Word>) -> Vec<Word> {
        self.lack(f.bits())
    }
    fn ffma(&mut self, f: Float, _: &Vec<Word>, _: &Vec<Word>, _: &Vec<Word>) -> Vec<Word> {
        self.lack(f.bits())
    }
    fn fround(&mut self, f: Float, _: Rounding, _: &Vec<Word>) -> Vec<Word> {
        self.lack(f.bits())
    }
    fn feq(&mut self, _: Float, _: &Vec<Word>, _: &Vec<Word>) -> Truth {
        self.lacks_truth()
    }
    fn flt(&mut self, _: Float, _: &Vec<Word>, _: &Vec<Word>) -> Truth {
        self.lacks_truth()
    }
    fn is_nan(&mut self, _: Float, _: &Vec<Word>) -> Truth {
        self.lacks_truth()
    }
    fn fconvert(&mut self, _: Float, to: Float, _: &Vec<Word>) -> Vec<Word> {
        self.lack(to.bits())
    }
    fn float_to_int(&mut self, _: Float, _: bool, w: u32, _: &Vec<Word>) -> Vec<Word> {
        self.lack(w)
    }
    fn float_from_int(&mut self, f: Float, _: bool, _: u32, _: &Vec<Word>) -> Vec<Word> {
        self.lack(f.bits())
    }
    fn nan_result(&mut self, f: Float, _: &[&Vec<Word>]) -> Vec<Word> {
        self.lack(f.bits())
    }
}
