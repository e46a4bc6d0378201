//! The code that comes out: the fields, and the implementation of the trait.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Expr, Type};

use crate::input::{CompositeIndex, Field, Struct};
use crate::shape::{bson_types, is_number};

pub(crate) fn implementation(document: &Struct) -> TokenStream {
    let Struct {
        ident, visibility, ..
    } = document;
    let fields_ident = format_ident!("{}Fields", ident);
    let types = document.fields.iter().map(field_type);
    let idents: Vec<_> = document.fields.iter().map(|field| &field.ident).collect();
    let makers = document.fields.iter().map(field_maker);
    let docs = document
        .fields
        .iter()
        .map(|field| format!("`{}` in documents.", field.name));
    let about = format!("The fields of [`{ident}`], for filters and updates.");
    let collection = &document.collection;
    let rules = document.fields.iter().map(rule);
    let indexes = document.fields.iter().filter_map(index);
    let composites = document.composites.iter().map(composite);
    quote! {
        #[doc = #about]
        #[derive(Clone, Debug)]
        #visibility struct #fields_ident<Root> {
            #( #[doc = #docs] pub #idents: #types, )*
        }

        #[automatically_derived]
        impl ::collection_store::Document for #ident {
            type Fields<Root> = #fields_ident<Root>;

            const COLLECTION: &'static str = #collection;

            fn fields_at<Root>(path: ::collection_store::typed::Path) -> Self::Fields<Root> {
                #fields_ident { #( #idents: #makers, )* }
            }

            fn declaration() -> ::collection_store::typed::Declaration {
                ::collection_store::typed::Declaration::new()
                    #( .field(#rules) )*
                    #( .index(#indexes) )*
                    #( .index(#composites) )*
            }
        }
    }
}

/// Whether it may be missing, as a parameter of its type.
fn presence(field: &Field) -> TokenStream {
    if field.shape.is_optional {
        quote!(::collection_store::typed::Optional)
    } else {
        quote!(::collection_store::typed::Required)
    }
}

fn field_type(field: &Field) -> TokenStream {
    let presence = presence(field);
    match (&field.shape.element, &field.shape.value) {
        (Some(element), _) => {
            quote!(::collection_store::typed::ArrayField<Root, #element, #presence>)
        }
        (None, value) if field.attributes.is_nested => {
            quote!(<#value as ::collection_store::Document>::Fields<Root>)
        }
        (None, value) => quote!(::collection_store::typed::Field<Root, #value, #presence>),
    }
}

fn field_maker(field: &Field) -> TokenStream {
    let name = &field.name;
    match (&field.shape.element, &field.shape.value) {
        (Some(_), _) => quote!(::collection_store::typed::ArrayField::at(path.then(#name))),
        (None, value) if field.attributes.is_nested => {
            quote!(<#value as ::collection_store::Document>::fields_at(path.then(#name)))
        }
        (None, _) => quote!(::collection_store::typed::Field::at(path.then(#name))),
    }
}

/// What documents must have there.
fn rule(field: &Field) -> TokenStream {
    let name = &field.name;
    let mut rule = quote!(::collection_store::typed::FieldRule::new(#name));
    let attributes = &field.attributes;
    // Generated where there is none.
    if !field.shape.is_optional && name != "_id" {
        rule.extend(quote!(.required()));
    }
    let value: &Type = &field.shape.value;
    if let Some(element) = &field.shape.element {
        let types = bson_types(element);
        rule.extend(quote!(.array(&[#(#types),*])));
        if attributes.is_nested {
            rule.extend(quote!(.nested::<#element>()));
        }
    } else if attributes.is_nested {
        rule.extend(quote!(.nested::<#value>()));
    } else {
        let types = bson_types(value);
        rule.extend(quote!(.types(&[#(#types),*])));
    }
    let is_length = field.shape.element.is_some() || !is_number(value);
    let bound = |bound: &Option<Expr>, of_value: TokenStream, of_length: TokenStream| {
        bound.as_ref().map(|bound| match is_length {
            true => quote!(.#of_length(#bound)),
            false => quote!(.#of_value(#bound)),
        })
    };
    rule.extend(bound(&attributes.min, quote!(minimum), quote!(shortest)));
    rule.extend(bound(&attributes.max, quote!(maximum), quote!(longest)));
    if let Some(pattern) = &attributes.pattern {
        rule.extend(quote!(.pattern(#pattern)));
    }
    if let Some(default) = &attributes.default {
        rule.extend(quote!(.default(#default)));
    }
    rule
}

fn index(field: &Field) -> Option<TokenStream> {
    let attributes = &field.attributes;
    let ttl = attributes
        .ttl
        .map(|seconds| quote!(.expire_after_seconds(#seconds)));
    let index = attributes.index.as_ref();
    if index.is_none() && ttl.is_none() {
        return None;
    }
    let key = key(&field.name, index.is_some_and(|index| index.is_descending));
    let is_unique = index.is_some_and(|index| index.is_unique);
    let is_sparse = index.is_some_and(|index| index.is_sparse);
    Some(quote! {
        ::collection_store::IndexModel::new(::collection_store::bson::doc! { #key })
            .unique(#is_unique)
            .sparse(#is_sparse)
            #ttl
    })
}

fn composite(composite: &CompositeIndex) -> TokenStream {
    let keys = composite.fields.iter();
    let keys = keys.map(|(name, descends)| key(name, *descends));
    let is_unique = composite.is_unique;
    quote! {
        ::collection_store::IndexModel::new(::collection_store::bson::doc! { #( #keys ),* })
            .unique(#is_unique)
    }
}

fn key(name: &str, descends: bool) -> TokenStream {
    if descends {
        quote!(#name: -1)
    } else {
        quote!(#name: 1)
    }
}
