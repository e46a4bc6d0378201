//! `#[document(…)]`, read and checked.

use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, ExprLit, ExprUnary, Lit, LitInt, LitStr, Result, UnOp};

/// What stands at a field.
#[derive(Default)]
pub(crate) struct FieldAttributes {
    pub(crate) is_id: bool,
    pub(crate) is_skipped: bool,
    pub(crate) is_nested: bool,
    pub(crate) index: Option<IndexAttribute>,
    pub(crate) ttl: Option<i32>,
    pub(crate) min: Option<Expr>,
    pub(crate) max: Option<Expr>,
    pub(crate) pattern: Option<LitStr>,
    pub(crate) default: Option<Expr>,
}

/// An index over one field.
#[derive(Default)]
pub(crate) struct IndexAttribute {
    pub(crate) is_unique: bool,
    pub(crate) is_sparse: bool,
    pub(crate) is_descending: bool,
}

/// An index over several.
pub(crate) struct Composite {
    /// As it was written: names of fields of the struct, a `-` before what descends.
    pub(crate) fields: LitStr,
    pub(crate) is_unique: bool,
}

/// What stands at the struct.
#[derive(Default)]
pub(crate) struct StructAttributes {
    pub(crate) collection: Option<LitStr>,
    pub(crate) composites: Vec<Composite>,
}

fn each(
    attributes: &[Attribute],
    mut read: impl FnMut(ParseNestedMeta<'_>) -> Result<()>,
) -> Result<()> {
    let own = attributes
        .iter()
        .filter(|it| it.path().is_ident("document"));
    own.into_iter()
        .try_for_each(|attribute| attribute.parse_nested_meta(&mut read))
}

impl StructAttributes {
    pub(crate) fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        each(attributes, |meta| {
            let is = |name| meta.path.is_ident(name);
            if is("collection") {
                found.collection = Some(meta.value()?.parse()?);
            } else if is("composite") || is("unique_composite") {
                found.composites.push(Composite {
                    fields: meta.value()?.parse()?,
                    is_unique: is("unique_composite"),
                });
            } else {
                return Err(meta.error(
                    "expected `collection = \"…\"`, `composite = \"a, -b\"` or `unique_composite = \"a, -b\"`",
                ));
            }
            Ok(())
        })?;
        Ok(found)
    }
}

impl FieldAttributes {
    pub(crate) fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut found = Self::default();
        each(attributes, |meta| found.read(&meta))?;
        Ok(found)
    }

    fn read(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let is = |name| meta.path.is_ident(name);
        if is("id") {
            self.is_id = true;
        } else if is("skip") {
            self.is_skipped = true;
        } else if is("nested") {
            self.is_nested = true;
        } else if is("index") {
            self.index.get_or_insert_default();
        } else if is("descending") {
            self.index.get_or_insert_default().is_descending = true;
        } else if is("unique") {
            self.index.get_or_insert_default().is_unique = true;
        } else if is("sparse") {
            self.index.get_or_insert_default().is_sparse = true;
        } else if is("ttl") {
            self.ttl = Some(meta.value()?.parse::<LitInt>()?.base10_parse()?);
        } else if is("min") {
            self.min = Some(number(meta)?);
        } else if is("max") {
            self.max = Some(number(meta)?);
        } else if is("pattern") {
            self.pattern = Some(meta.value()?.parse()?);
        } else if is("default") {
            self.default = Some(literal(meta)?);
        } else {
            return Err(meta.error(
                "expected one of `id`, `index`, `unique`, `sparse`, `descending`, `ttl = seconds`, `min = …`, \
                 `max = …`, `pattern = \"…\"`, `default = …`, `nested`, `skip`",
            ));
        }
        Ok(())
    }
}

/// A number, with a sign or without.
fn number(meta: &ParseNestedMeta<'_>) -> Result<Expr> {
    let expression: Expr = meta.value()?.parse()?;
    if is_number(&expression) {
        return Ok(expression);
    }
    Err(Error::new(expression.span(), "expected a number"))
}

fn is_number(expression: &Expr) -> bool {
    match expression {
        Expr::Lit(ExprLit { lit, .. }) => matches!(lit, Lit::Int(_) | Lit::Float(_)),
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => is_number(expr),
        _ => false,
    }
}

/// A number, text, or true or false.
fn literal(meta: &ParseNestedMeta<'_>) -> Result<Expr> {
    let expression: Expr = meta.value()?.parse()?;
    let is_literal = |expression: &Expr| match expression {
        Expr::Lit(ExprLit { lit, .. }) => matches!(lit, Lit::Str(_) | Lit::Bool(_)),
        _ => false,
    };
    if is_number(&expression) || is_literal(&expression) {
        return Ok(expression);
    }
    Err(Error::new(
        expression.span(),
        "expected a number, text, true or false",
    ))
}
