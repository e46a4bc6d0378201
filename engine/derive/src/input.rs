//! The struct that is derived from.

use syn::{Data, DeriveInput, Error, Fields, Ident, LitStr, Result, Type, Visibility};

use crate::attributes::{FieldAttributes, StructAttributes};
use crate::names::{self, SerdeNames};
use crate::shape::{Shape, is_number, is_text};

/// A struct that becomes documents.
pub(crate) struct Struct {
    pub(crate) ident: Ident,
    pub(crate) visibility: Visibility,
    pub(crate) collection: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) composites: Vec<CompositeIndex>,
}

/// One of its fields.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    /// What it is called in documents.
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) attributes: FieldAttributes,
}

/// An index over several fields, by their names in documents; true descends.
pub(crate) struct CompositeIndex {
    pub(crate) fields: Vec<(String, bool)>,
    pub(crate) is_unique: bool,
}

impl Struct {
    /// # Errors
    /// It is none with named fields, or an attribute makes no sense there.
    pub(crate) fn of(input: &DeriveInput) -> Result<Self> {
        let Data::Struct(data) = &input.data else {
            return Err(Error::new_spanned(
                &input.ident,
                "only a struct is a document",
            ));
        };
        let Fields::Named(named) = &data.fields else {
            return Err(Error::new_spanned(
                &input.ident,
                "the fields of a document have names",
            ));
        };
        if !input.generics.params.is_empty() {
            return Err(Error::new_spanned(
                &input.generics,
                "a document has no parameters: its fields could not be told",
            ));
        }
        let serde = SerdeNames::of(&input.attrs)?;
        let attributes = StructAttributes::of(&input.attrs)?;
        let mut fields = Vec::new();
        for field in &named.named {
            fields.extend(Field::of(field, &serde)?);
        }
        let composites = attributes.composites.iter();
        let composites = composites
            .map(|composite| {
                Ok(CompositeIndex {
                    fields: composite_fields(&composite.fields, &fields)?,
                    is_unique: composite.is_unique,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            ident: input.ident.clone(),
            visibility: input.vis.clone(),
            collection: attributes
                .collection
                .map_or_else(|| names::collection(&input.ident), |name| name.value()),
            fields,
            composites,
        })
    }
}

impl Field {
    /// `None` of one that no document has.
    fn of(field: &syn::Field, all: &SerdeNames) -> Result<Option<Self>> {
        let attributes = FieldAttributes::of(&field.attrs)?;
        if attributes.is_skipped {
            return Ok(None);
        }
        let serde = SerdeNames::of(&field.attrs)?;
        let Some(ident) = field.ident.clone().filter(|_| !serde.is_skipped) else {
            return Ok(None);
        };
        let name = serde.field(all, &ident)?;
        let shape = Shape::of(&field.ty);
        let refuse = |what: &str| Err(Error::new(ident.span(), what));
        if attributes.is_id && name != "_id" {
            return refuse("the id of a document is called _id: add #[serde(rename = \"_id\")]");
        }
        if name == "_id" && attributes.index.is_some() {
            return refuse("_id has an index of its own");
        }
        let element: &Type = shape.element.as_ref().unwrap_or(&shape.value);
        if attributes.pattern.is_some() && !is_text(element) {
            return refuse("only text has a pattern");
        }
        let has_bounds = attributes.min.is_some() || attributes.max.is_some();
        let is_bounded =
            shape.element.is_some() || is_number(&shape.value) || is_text(&shape.value);
        if has_bounds && !is_bounded {
            return refuse("min and max bound numbers, and the length of text and arrays");
        }
        Ok(Some(Self {
            ident,
            name,
            shape,
            attributes,
        }))
    }
}

/// Fields of the struct, by the names they have in it.
fn composite_fields(written: &LitStr, fields: &[Field]) -> Result<Vec<(String, bool)>> {
    let text = written.value();
    let parts = text.split(',').map(str::trim);
    let found: Vec<_> = parts
        .map(|part| {
            let (name, descends) = match part.strip_prefix('-') {
                Some(name) => (name.trim(), true),
                None => (part, false),
            };
            let field = fields.iter().find(|field| field.ident == name);
            let field = field.ok_or_else(|| {
                let names: Vec<_> = fields.iter().map(|field| field.ident.to_string()).collect();
                let message = format!("no field '{name}': there are {}", names.join(", "));
                Error::new(written.span(), message)
            })?;
            Ok((field.name.clone(), descends))
        })
        .collect::<Result<_>>()?;
    match found.len() {
        2.. => Ok(found),
        _ => Err(Error::new(
            written.span(),
            "an index over one field stands at the field",
        )),
    }
}
