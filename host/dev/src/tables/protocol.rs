//! Between the wire and the generated readers, which trust what they read: they make room for as
//! many items as a list says it has, and they fail on arguments that are left out, as Java and
//! Python clients leave out what is null. This looks at lengths first, and puts empty arguments in.

use super::wire::{SharedWire, Wire};
use streamhost_core::limits::{TABLES_CALL_ITEMS_MAX, TABLES_LIST_ITEMS_MAX};
use thrift::protocol::{
    TFieldIdentifier, TInputProtocol, TListIdentifier, TMapIdentifier, TMessageIdentifier,
    TSetIdentifier, TStructIdentifier, TType,
};
use thrift::{ProtocolError, ProtocolErrorKind, Result};

/// No argument or field of this protocol has a higher number; the compact protocol adds to the last
/// one without a check.
const FIELD_ID_MAX: i16 = 1000;
/// Fields of a family's description.
const MAX_VERSIONS: i16 = 2;
const TIME_TO_LIVE: i16 = 9;

/// A protocol that is looked after.
pub(super) struct Guarded<P> {
    inner: P,
    wire: SharedWire,
    compact: bool,
    /// The method being called, and how deep in its arguments the reader is; 1 is the arguments
    /// themselves.
    method: String,
    depth: u32,
    /// Items that the call's lists and maps may still have, all together.
    items_left: usize,
    /// Fields that were there, by bit; bit 0 once the last one was. Of the arguments, and of the
    /// structure in them.
    seen: [u32; 2],
    /// The number of the field that is put in and not yet taken.
    put_in: Option<i16>,
    /// Whether the arguments were read to their end.
    complete: bool,
    broken: bool,
}

impl<P: TInputProtocol> Guarded<P> {
    pub(super) fn new(inner: P, wire: SharedWire, compact: bool) -> Self {
        Guarded {
            inner,
            wire,
            compact,
            method: String::new(),
            depth: 0,
            items_left: 0,
            seen: [0; 2],
            put_in: None,
            complete: true,
            broken: false,
        }
    }

    /// After a call: reads what its handler left unread. False: the stream makes no sense from here
    /// on.
    pub(super) fn settle(&mut self) -> bool {
        if !self.broken && !self.complete {
            self.method.clear();
            self.broken |= self.skip(TType::Struct).is_err();
        }
        !self.broken
    }

    /// Where the fields of the present structure are noted, if they are.
    fn level(&self) -> Option<usize> {
        let level = (self.depth as usize).checked_sub(1)?;
        (level < self.seen.len()).then_some(level)
    }

    fn watch<T>(&mut self, result: Result<T>) -> Result<T> {
        self.broken |= result.is_err();
        result
    }

    fn refuse<T>(&mut self, why: String) -> Result<T> {
        self.broken = true;
        Err(thrift::Error::Protocol(ProtocolError {
            kind: ProtocolErrorKind::SizeLimit,
            message: why,
        }))
    }

    /// Refuses a length of bytes that the call cannot have.
    fn check_length(&mut self, peek: fn(&mut Wire, bool) -> std::io::Result<usize>) -> Result<()> {
        let (length, left) = {
            let mut wire = self.wire.0.borrow_mut();
            (peek(&mut wire, self.compact), wire.left())
        };
        let length = self.watch(length.map_err(thrift::Error::from))?;
        if length > left {
            self.refuse(format!(
                "{length} bytes in a call that may have {left} more"
            ))
        } else {
            Ok(())
        }
    }

    /// Refuses a number of items that the call cannot have; each takes a byte at least. Lists of
    /// lists take from one number, or few bytes could claim much memory.
    fn check_items(&mut self, items: i32) -> Result<()> {
        let left = self
            .wire
            .0
            .borrow()
            .left()
            .min(TABLES_LIST_ITEMS_MAX)
            .min(self.items_left);
        match usize::try_from(items) {
            Ok(items) if items <= left => {
                self.items_left -= items;
                Ok(())
            }
            _ => self.refuse(format!(
                "a list of {items} items; at most {TABLES_LIST_ITEMS_MAX} are taken, and {TABLES_CALL_ITEMS_MAX} in a call"
            )),
        }
    }
}

/// What is put in for a number that was left out: HBase's defaults of `maxVersions` and
/// `timeToLive`. The generated reader would say 0.
fn default_number(field: i16) -> i32 {
    if field == MAX_VERSIONS { 3 } else { i32::MAX }
}

/// Fields that a client may leave out, by their number: of the arguments (depth 1), or of a
/// structure in them.
fn optional(method: &str, depth: u32) -> &'static [(i16, TType)] {
    use TType::{I32, List, Map, String as Text};
    match method {
        "createTable" if depth == 2 => &[(MAX_VERSIONS, I32), (TIME_TO_LIVE, I32)],
        _ if depth != 1 => &[],
        "getRow" | "deleteAllRow" | "mutateRows" | "scannerOpenWithScan" => &[(3, Map)],
        "getRows" => &[(2, List), (3, Map)],
        "getRowsTs" => &[(2, List), (4, Map)],
        "get" | "getRowTs" | "mutateRow" | "deleteAll" | "deleteAllRowTs" | "mutateRowsTs" => {
            &[(4, Map)]
        }
        "getRowWithColumns" => &[(3, List), (4, Map)],
        "getRowsWithColumns" => &[(2, List), (3, List), (4, Map)],
        "scannerOpen" | "scannerOpenWithPrefix" => &[(2, Text), (3, List), (4, Map)],
        "getRowWithColumnsTs" => &[(3, List), (5, Map)],
        "getRowsWithColumnsTs" => &[(2, List), (3, List), (5, Map)],
        "getVer" | "mutateRowTs" | "deleteAllTs" => &[(5, Map)],
        "getVerTs" => &[(6, Map)],
        "scannerOpenTs" => &[(2, Text), (3, List), (5, Map)],
        "scannerOpenWithStop" => &[(2, Text), (3, Text), (4, List), (5, Map)],
        "scannerOpenWithStopTs" => &[(2, Text), (3, Text), (4, List), (6, Map)],
        "checkAndPut" => &[(5, Text), (7, Map)],
        _ => &[],
    }
}

impl<P: TInputProtocol> TInputProtocol for Guarded<P> {
    fn read_message_begin(&mut self) -> Result<TMessageIdentifier> {
        self.complete = false;
        self.depth = 0;
        self.items_left = TABLES_CALL_ITEMS_MAX;
        self.put_in = None;
        self.check_length(Wire::peek_name_length)?;
        let message = self.inner.read_message_begin();
        let message = self.watch(message)?;
        self.method.clone_from(&message.name);
        Ok(message)
    }

    fn read_message_end(&mut self) -> Result<()> {
        let result = self.inner.read_message_end();
        self.watch(result)
    }

    fn read_struct_begin(&mut self) -> Result<Option<TStructIdentifier>> {
        self.depth += 1;
        if let Some(level) = self.level() {
            self.seen[level] = 0;
        }
        let result = self.inner.read_struct_begin();
        self.watch(result)
    }

    fn read_struct_end(&mut self) -> Result<()> {
        self.depth = self.depth.saturating_sub(1);
        self.complete = self.depth == 0;
        let result = self.inner.read_struct_end();
        self.watch(result)
    }

    fn read_field_begin(&mut self) -> Result<TFieldIdentifier> {
        let level = self.level();
        if level.is_none_or(|level| self.seen[level] & 1 == 0) {
            let field = self.inner.read_field_begin();
            let field = self.watch(field)?;
            let id = field.id.unwrap_or(0);
            if !(0..=FIELD_ID_MAX).contains(&id) {
                return self.refuse(format!("a field with the number {id}"));
            }
            let Some(level) = level else { return Ok(field) };
            if field.field_type != TType::Stop {
                if (1..32).contains(&id) {
                    self.seen[level] |= 1 << id;
                }
                return Ok(field);
            }
            self.seen[level] |= 1;
        }
        for &(id, field_type) in optional(&self.method, self.depth) {
            // There are optional ones only there.
            let seen = &mut self.seen[self.depth as usize - 1];
            if *seen & (1 << id) == 0 {
                *seen |= 1 << id;
                self.put_in = Some(id);
                return Ok(TFieldIdentifier {
                    name: None,
                    field_type,
                    id: Some(id),
                });
            }
        }
        Ok(TFieldIdentifier {
            name: None,
            field_type: TType::Stop,
            id: None,
        })
    }

    fn read_field_end(&mut self) -> Result<()> {
        let result = self.inner.read_field_end();
        self.watch(result)
    }

    fn read_bool(&mut self) -> Result<bool> {
        let result = self.inner.read_bool();
        self.watch(result)
    }

    fn read_bytes(&mut self) -> Result<Vec<u8>> {
        if self.put_in.take().is_some() {
            return Ok(Vec::new());
        }
        self.check_length(Wire::peek_length)?;
        let result = self.inner.read_bytes();
        self.watch(result)
    }

    fn read_i8(&mut self) -> Result<i8> {
        let result = self.inner.read_i8();
        self.watch(result)
    }

    fn read_i16(&mut self) -> Result<i16> {
        let result = self.inner.read_i16();
        self.watch(result)
    }

    fn read_i32(&mut self) -> Result<i32> {
        if let Some(field) = self.put_in.take() {
            return Ok(default_number(field));
        }
        let result = self.inner.read_i32();
        self.watch(result)
    }

    fn read_i64(&mut self) -> Result<i64> {
        let result = self.inner.read_i64();
        self.watch(result)
    }

    fn read_double(&mut self) -> Result<f64> {
        let result = self.inner.read_double();
        self.watch(result)
    }

    fn read_string(&mut self) -> Result<String> {
        let bytes = self.read_bytes()?;
        let result = String::from_utf8(bytes).map_err(thrift::Error::from);
        self.watch(result)
    }

    fn read_list_begin(&mut self) -> Result<TListIdentifier> {
        if self.put_in.take().is_some() {
            return Ok(TListIdentifier::new(TType::String, 0));
        }
        let result = self.inner.read_list_begin();
        let list = self.watch(result)?;
        self.check_items(list.size)?;
        Ok(list)
    }

    fn read_list_end(&mut self) -> Result<()> {
        let result = self.inner.read_list_end();
        self.watch(result)
    }

    fn read_set_begin(&mut self) -> Result<TSetIdentifier> {
        let result = self.inner.read_set_begin();
        let set = self.watch(result)?;
        self.check_items(set.size)?;
        Ok(set)
    }

    fn read_set_end(&mut self) -> Result<()> {
        let result = self.inner.read_set_end();
        self.watch(result)
    }

    fn read_map_begin(&mut self) -> Result<TMapIdentifier> {
        if self.put_in.take().is_some() {
            return Ok(TMapIdentifier::new(TType::String, TType::String, 0));
        }
        let result = self.inner.read_map_begin();
        let map = self.watch(result)?;
        self.check_items(map.size)?;
        Ok(map)
    }

    fn read_map_end(&mut self) -> Result<()> {
        let result = self.inner.read_map_end();
        self.watch(result)
    }

    fn read_byte(&mut self) -> Result<u8> {
        let result = self.inner.read_byte();
        self.watch(result)
    }
}
