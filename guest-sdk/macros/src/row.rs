//! The derived `Row`: the shape as a constant, and one straight line of writes.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Ident, LitStr, Result, Token, Type};

struct Column<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    name: String,
    /// It is the whole value.
    whole: bool,
}

#[derive(Default)]
struct Parts<'a> {
    keys: Vec<KeyField<'a>>,
    headers: Vec<HeaderField<'a>>,
    columns: Vec<Column<'a>>,
    dynamic: Vec<(&'a Ident, &'a Type)>,
}

struct KeyField<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    name: String,
}

struct HeaderField<'a> {
    ident: &'a Ident,
    ty: &'a Type,
    /// None: it holds all of a record's.
    name: Option<String>,
}

enum Role {
    /// Its name, and that of the column that it is as well.
    Key(Option<LitStr>, Option<LitStr>),
    Header(Option<LitStr>),
    Headers,
    Column(Option<LitStr>),
    Value,
    Dynamic,
    Skip,
}

pub(crate) fn expand(item: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(item)?;
    let not_a_struct = || Error::new(input.ident.span(), "a row is a struct with named fields");
    let Data::Struct(data) = &input.data else {
        return Err(not_a_struct());
    };
    let Fields::Named(fields) = &data.fields else {
        return Err(not_a_struct());
    };
    let parts = sort(fields.named.iter())?;
    let key = key(&parts.keys, separator(&input.attrs)?.as_ref())?;

    let name = &input.ident;
    let (generics, arguments, clause) = input.generics.split_for_impl();
    let Key {
        ty: key_type,
        write: write_key,
        write_self,
        def: key_def,
    } = key;
    let key_columns = parts.keys.iter().map(key_column);
    let (is_dynamic, has_headers) = (!parts.dynamic.is_empty(), !parts.headers.is_empty());
    let headers = parts.headers.iter().map(header_write);
    let defs = parts.columns.iter().map(column_def);
    let cells = parts.columns.iter().map(column_write);
    let dynamic = parts.dynamic.iter().map(|(ident, ty)| {
        quote_spanned! { ty.span() =>
            for (name, value) in &self.#ident {
                out.dynamic(::core::convert::AsRef::<str>::as_ref(name), value);
            }
        }
    });
    Ok(quote! {
        impl #generics ::streamhost::Row for #name #arguments #clause {
            type Key = #key_type;
            const SHAPE: ::streamhost::RowShape = ::streamhost::RowShape {
                keys: &[#key_def],
                key_columns: &[#(#key_columns),*],
                dynamic: #is_dynamic,
                headers: #has_headers,
                columns: &[#(#defs),*],
            };
            #[inline]
            fn write_key(key: &Self::Key, out: &mut ::streamhost::RowWriter) {
                #write_key
            }
            #[inline]
            fn write(&self, out: &mut ::streamhost::RowWriter) {
                #write_self
                #(#cells)*
                #(#dynamic)*
                #(#headers)*
            }
        }
    })
}

/// The same path at the same place as in `column_write`, so that rustc tells a wrong type once.
fn column_def(column: &Column<'_>) -> TokenStream {
    let Column { ty, name, .. } = column;
    quote_spanned! { ty.span() =>
        ::streamhost::ColumnDef {
            name: #name,
            kind: <#ty as ::streamhost::Cell>::KIND,
            optional: <#ty as ::streamhost::Cell>::OPTIONAL,
        }
    }
}

fn column_write(column: &Column<'_>) -> TokenStream {
    let Column { ty, ident, .. } = column;
    quote_spanned! { ty.span() =>
        let put = <#ty as ::streamhost::Cell>::put(&self.#ident, out.cell_bytes());
        out.cell_end(put);
    }
}

fn header_write(header: &HeaderField<'_>) -> TokenStream {
    let HeaderField { ident, ty, name } = header;
    match name {
        Some(name) => quote_spanned! { ty.span() => out.header::<#ty>(#name, &self.#ident); },
        None => quote_spanned! { ty.span() => out.headers(self.#ident); },
    }
}

fn key_column(key: &KeyField<'_>) -> TokenStream {
    let KeyField { ty, name, .. } = key;
    quote_spanned! { ty.span() => ::streamhost::ColumnDef::key_column::<#ty>(#name) }
}

struct Key {
    ty: TokenStream,
    def: TokenStream,
    write: TokenStream,
    write_self: TokenStream,
}

fn key(keys: &[KeyField<'_>], separator: Option<&LitStr>) -> Result<Key> {
    let types = keys.iter().map(|key| key.ty);
    match (keys, separator) {
        ([], None) => Ok(Key {
            ty: quote! { ::core::convert::Infallible },
            def: quote! {},
            write: quote! { let _ = out; match *key {} },
            write_self: quote! { out.no_key(); },
        }),
        ([KeyField { ident, ty, name }], None) => Ok(Key {
            ty: quote! { #ty },
            def: quote_spanned! { ty.span() => ::streamhost::ColumnDef::key::<#ty>(#name) },
            write: quote_spanned! { ty.span() => out.key::<#ty>(key); },
            write_self: quote_spanned! { ty.span() => out.key::<#ty>(&self.#ident); },
        }),
        ([] | [_], Some(separator)) => Err(Error::new(
            separator.span(),
            "a separator joins several `#[row(key)]` fields, and there are not two",
        )),
        (several, None) => Ok(key_apart(several)),
        ([first @ .., last], Some(separator)) => {
            let write = |value: &dyn Fn(usize, &Ident) -> TokenStream| {
                let before = first.iter().enumerate().map(|(i, key)| {
                    let (value, ty) = (value(i, key.ident), key.ty);
                    quote_spanned! { ty.span() => out.key_before::<#ty>(#value, #separator); }
                });
                let (value, ty) = (value(first.len(), last.ident), last.ty);
                let end = quote_spanned! { ty.span() => out.key::<#ty>(#value); };
                quote! { #(#before)* #end }
            };
            let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
            let (name, all) = (names.join(&separator.value()), types.clone());
            Ok(Key {
                def: quote! {
                    ::streamhost::ColumnDef {
                        name: #name,
                        kind: if true #(&& <#all as ::streamhost::KeyPart>::IS_TEXT)* {
                            ::streamhost::Kind::Text
                        } else {
                            ::streamhost::Kind::Bytes
                        },
                        optional: false,
                    }
                },
                ty: quote! { (#(#types),*) },
                write: write(&|i, _| {
                    let i = syn::Index::from(i);
                    quote! { &key.#i }
                }),
                write_self: write(&|_, ident| quote! { &self.#ident }),
            })
        }
    }
}

/// Key fields that nothing says how to join: each is a key column.
fn key_apart(keys: &[KeyField<'_>]) -> Key {
    let types = keys.iter().map(|key| key.ty);
    let columns = keys.iter().map(key_column);
    let write = |value: &dyn Fn(usize, &Ident) -> TokenStream| {
        let each = keys.iter().enumerate().map(|(i, key)| {
            let (value, ty) = (value(i, key.ident), key.ty);
            quote_spanned! { ty.span() => out.key::<#ty>(#value); }
        });
        quote! { #(#each)* }
    };
    Key {
        def: quote! { #(#columns),* },
        ty: quote! { (#(#types),*) },
        write: write(&|i, _| {
            let i = syn::Index::from(i);
            quote! { &key.#i }
        }),
        write_self: write(&|_, ident| quote! { &self.#ident }),
    }
}

fn sort<'a>(fields: impl Iterator<Item = &'a Field>) -> Result<Parts<'a>> {
    let mut parts = Parts::default();
    for field in fields {
        let Some(ident) = &field.ident else { continue };
        let ty = &field.ty;
        match role(field)? {
            Role::Skip => {}
            Role::Key(name, column) => {
                parts.keys.push(KeyField {
                    ident,
                    ty,
                    name: name_of(ident, name),
                });
                if let Some(column) = column {
                    parts.add_column(ident, ty, column.value())?;
                }
            }
            Role::Header(name) => parts.headers.push(HeaderField {
                ident,
                ty,
                name: Some(name_of(ident, name)),
            }),
            Role::Headers => parts.headers.push(HeaderField {
                ident,
                ty,
                name: None,
            }),
            Role::Dynamic => parts.dynamic.push((ident, ty)),
            Role::Value => parts.columns.push(Column {
                ident,
                ty,
                name: String::new(),
                whole: true,
            }),
            Role::Column(name) => parts.add_column(ident, ty, name_of(ident, name))?,
        }
    }
    let columns = parts.columns.len() + parts.dynamic.len();
    match parts.columns.iter().find(|column| column.whole) {
        Some(value) if columns > 1 => Err(Error::new(
            value.ident.span(),
            "`#[row(value)]` is the whole value, so that there can be no other columns; `#[row(skip)]` leaves them out",
        )),
        _ => Ok(parts),
    }
}

impl<'a> Parts<'a> {
    fn add_column(&mut self, ident: &'a Ident, ty: &'a Type, name: String) -> Result<()> {
        if self.columns.iter().any(|column| column.name == name) {
            let words = format!("two fields are column `{name}`");
            return Err(Error::new(ident.span(), words));
        }
        self.columns.push(Column {
            ident,
            ty,
            name,
            whole: false,
        });
        Ok(())
    }
}

/// The name that is given, or else the field's.
fn name_of(ident: &Ident, name: Option<LitStr>) -> String {
    let own = || ident.to_string().trim_start_matches("r#").into();
    name.map_or_else(own, |name| name.value())
}

fn role(field: &Field) -> Result<Role> {
    let mut role: Option<Role> = None;
    let mut column: Option<LitStr> = None;
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("row")) {
        let mut set = |found| match role.replace(found) {
            None => Ok(()),
            Some(_) => Err(Error::new(
                attribute.span(),
                "a field has one part in its row",
            )),
        };
        if let Ok(name) = attribute.parse_args::<LitStr>() {
            if name.value().is_empty() {
                return Err(Error::new(
                    name.span(),
                    "a column has a name; `#[row(value)]` is the whole value, raw",
                ));
            }
            set(Role::Column(Some(name)))?;
            continue;
        }
        attribute.parse_nested_meta(|meta| {
            let is = |name| meta.path.is_ident(name);
            let named = || -> Result<Option<LitStr>> {
                if !meta.input.peek(Token![=]) {
                    return Ok(None);
                }
                let name: LitStr = meta.value()?.parse()?;
                match name.value().is_empty() {
                    true => Err(Error::new(name.span(), "a key or header has a name")),
                    false => Ok(Some(name)),
                }
            };
            match () {
                () if is("key") => set(Role::Key(named()?, None)),
                () if is("column") => match named()? {
                    Some(name) => {
                        column = Some(name);
                        Ok(())
                    }
                    None => Err(meta.error("say its name: `#[row(key, column = \"id\")]`")),
                },
                () if is("header") => set(Role::Header(named()?)),
                () if is("headers") => set(Role::Headers),
                () if is("value") => set(Role::Value),
                () if is("dynamic") => set(Role::Dynamic),
                () if is("skip") => set(Role::Skip),
                () if is("separator") => Err(meta.error("`separator` belongs on the struct")),
                () => {
                    Err(meta
                        .error("known here: key, column, value, header, headers, dynamic, skip, or \"family:qualifier\""))
                }
            }
        })?;
    }
    match (role, column) {
        (Some(Role::Key(name, _)), column) => Ok(Role::Key(name, column)),
        (None, Some(name)) => Ok(Role::Column(Some(name))),
        (Some(_), Some(name)) => Err(Error::new(
            name.span(),
            "a field has one part in its row; a key alone may be a column too",
        )),
        (role, None) => Ok(role.unwrap_or(Role::Column(None))),
    }
}

fn separator(attributes: &[Attribute]) -> Result<Option<LitStr>> {
    let mut separator: Option<LitStr> = None;
    for attribute in attributes.iter().filter(|a| a.path().is_ident("row")) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("separator") {
                return Err(meta.error("known on the struct: separator = \"…\""));
            }
            separator = Some(meta.value()?.parse()?);
            Ok(())
        })?;
    }
    match &separator {
        Some(empty) if empty.value().is_empty() => Err(Error::new(
            empty.span(),
            "an empty separator would give different rows the same key",
        )),
        _ => Ok(separator),
    }
}
