//! What serde calls a field.

use heck::{
    ToKebabCase, ToLowerCamelCase, ToPascalCase, ToShoutyKebabCase, ToShoutySnakeCase, ToSnakeCase,
};
use syn::{Attribute, Error, LitStr, Result};

/// What `#[serde(…)]` says, as far as it bears on names.
#[derive(Default)]
pub(crate) struct SerdeNames {
    pub(crate) rename: Option<String>,
    pub(crate) rename_all: Option<String>,
    pub(crate) is_skipped: bool,
}

impl SerdeNames {
    /// # Errors
    /// The name of a field would not be one name, or not known here.
    pub(crate) fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut names = Self::default();
        for attribute in attributes.iter().filter(|it| it.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| {
                let is = |name| meta.path.is_ident(name);
                if is("rename") || is("rename_all") {
                    let value: LitStr = meta
                        .value()
                        .and_then(syn::parse::ParseBuffer::parse)
                        .map_err(|_| {
                            meta.error("names that differ between reading and writing have no one field to filter by")
                        })?;
                    let place = if is("rename") { &mut names.rename } else { &mut names.rename_all };
                    *place = Some(value.value());
                    return Ok(());
                }
                if is("flatten") {
                    return Err(meta.error(
                        "the fields of a flattened field are not known here: leave it out with #[document(skip)]",
                    ));
                }
                names.is_skipped |= is("skip") || is("skip_serializing");
                // Whatever else there is does not change names.
                if meta.input.peek(syn::Token![=]) {
                    meta.value()?.parse::<syn::Expr>()?;
                } else if meta.input.peek(syn::token::Paren) {
                    let content;
                    syn::parenthesized!(content in meta.input);
                    content.parse::<proc_macro2::TokenStream>()?;
                }
                Ok(())
            })?;
        }
        Ok(names)
    }

    /// The name of a field under what the struct says of all.
    ///
    /// # Errors
    /// The case is none of serde's.
    pub(crate) fn field(&self, all: &Self, ident: &syn::Ident) -> Result<String> {
        if let Some(name) = &self.rename {
            return Ok(name.clone());
        }
        let text = ident.to_string();
        let text = text.strip_prefix("r#").unwrap_or(&text);
        Ok(match all.rename_all.as_deref() {
            None | Some("snake_case") => text.to_owned(),
            Some("lowercase") => text.to_lowercase(),
            Some("UPPERCASE") => text.to_uppercase(),
            Some("camelCase") => text.to_lower_camel_case(),
            Some("PascalCase") => text.to_pascal_case(),
            Some("SCREAMING_SNAKE_CASE") => text.to_shouty_snake_case(),
            Some("kebab-case") => text.to_kebab_case(),
            Some("SCREAMING-KEBAB-CASE") => text.to_shouty_kebab_case(),
            Some(other) => {
                return Err(Error::new(
                    ident.span(),
                    format!("serde knows no case '{other}'"),
                ));
            }
        })
    }
}

/// The name of a collection of a type that says none.
pub(crate) fn collection(ident: &syn::Ident) -> String {
    ident.to_string().to_snake_case()
}
