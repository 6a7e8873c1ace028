// SPDX-License-Identifier: Apache-2.0
//! The headers in which tracing systems hand on their context, and what a value of each says.

mod carried;
mod fate;

use std::collections::HashSet;

use tracegate::trace::{B3, OtSpanContext, TraceId, TraceParent, TraceState, UberTraceId};

pub use carried::Carried;
pub use fate::Fate;

/// A header that carries trace context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Carrier {
    name: &'static str,
    form: Form,
}

/// How a carrier is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    /// <https://www.w3.org/TR/trace-context-2/#traceparent-header>
    TraceParent,
    /// <https://www.w3.org/TR/trace-context-2/#tracestate-header>
    TraceState,
    /// <https://www.w3.org/TR/baggage/#header-content>: members between commas, all of which are handed on.
    Baggage,
    /// <https://github.com/openzipkin/b3-propagation#single-header>
    B3,
    /// A trace id in hexadecimal digits, and nothing else.
    Trace,
    /// A span id in hexadecimal digits: every hop writes its own.
    Span,
    /// As Jaeger writes it.
    Jaeger,
    /// As Lightstep's binary carrier has it.
    OtSpanContext,
    /// As AWS X-Ray writes it.
    XRay,
    /// `|{root}.{…}.`, as .NET and API Management's correlation protocol Legacy write it.
    RequestId,
    /// It names the component that sends the request: every hop writes its own.
    Sender,
    /// Whatever it is, it goes on as it came.
    Opaque,
}

/// What a value says.
#[derive(Debug, PartialEq, Eq)]
enum Read<'a> {
    /// No context: the grammar refuses it.
    Malformed,
    /// The trace, its id in a form that can be compared.
    Trace(Vec<u8>),
    /// Members, in order.
    Members(Vec<&'a [u8]>),
    /// Every hop writes its own.
    Hop,
    /// It has no parts.
    Opaque,
}

impl Carrier {
    /// The carrier of this name, in any case.
    #[must_use]
    pub fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|carrier| name.eq_ignore_ascii_case(carrier.name.as_bytes()))
    }

    /// The header's name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Whether it is one of W3C Trace Context.
    #[must_use]
    pub const fn is_trace_context(self) -> bool {
        matches!(self.form, Form::TraceParent | Form::TraceState)
    }

    /// Whether a value, all lines of it joined by commas, has the carrier's form.
    #[must_use]
    pub fn is_sound(self, value: &[u8]) -> bool {
        self.read(value) != Read::Malformed
    }

    fn read(self, value: &[u8]) -> Read<'_> {
        let digits = |id: Option<Vec<u8>>| id.map_or(Read::Malformed, Read::Trace);
        let trace = |id: Option<TraceId>| digits(id.map(|id| id.to_bytes().to_vec()));
        match self.form {
            Form::TraceParent => trace(TraceParent::try_from(value).ok().map(|parent| parent.trace_id())),
            Form::TraceState if TraceState::try_from(value).is_err() => Read::Malformed,
            Form::TraceState | Form::Baggage => Read::Members(members(value)),
            Form::B3 => match B3::try_from(value) {
                Ok(B3::Context(context)) => trace(Some(context.trace_id)),
                Ok(B3::Decision(_)) => Read::Opaque,
                Err(_) => Read::Malformed,
            },
            Form::Trace => digits(id(value)),
            Form::Span => id(value).map_or(Read::Malformed, |_| Read::Hop),
            Form::Jaeger => trace(UberTraceId::try_from(value).ok().map(|UberTraceId(context)| context.trace_id)),
            Form::OtSpanContext => trace(OtSpanContext::try_from(value).ok().map(|OtSpanContext(context)| context.trace_id)),
            Form::XRay => digits(x_ray(value)),
            Form::RequestId => Read::Trace(root(value).to_ascii_lowercase()),
            Form::Sender => Read::Hop,
            Form::Opaque => Read::Opaque,
        }
    }

    const fn new(name: &'static str, form: Form) -> Self {
        Self { name, form }
    }

    /// W3C Trace Context.
    pub const TRACEPARENT: Self = Self::new("traceparent", Form::TraceParent);
    /// W3C Trace Context, what vendors add to it.
    pub const TRACESTATE: Self = Self::new("tracestate", Form::TraceState);
    /// W3C Baggage.
    pub const BAGGAGE: Self = Self::new("baggage", Form::Baggage);
    /// .NET, and API Management's correlation protocol Legacy.
    pub const REQUEST_ID: Self = Self::new("request-id", Form::RequestId);
    /// Likewise.
    pub const REQUEST_CONTEXT: Self = Self::new("request-context", Form::Sender);

    /// Every carrier that is known.
    pub const ALL: [Self; 17] = [
        Self::TRACEPARENT,
        Self::TRACESTATE,
        Self::BAGGAGE,
        Self::new("b3", Form::B3),
        Self::new("x-b3-traceid", Form::Trace),
        Self::new("x-b3-spanid", Form::Span),
        Self::new("x-b3-parentspanid", Form::Span),
        Self::new("x-b3-sampled", Form::Opaque),
        Self::new("x-b3-flags", Form::Opaque),
        Self::new("uber-trace-id", Form::Jaeger),
        Self::new("ot-tracer-traceid", Form::Trace),
        Self::new("ot-tracer-spanid", Form::Span),
        Self::new("ot-tracer-sampled", Form::Opaque),
        Self::new("x-ot-span-context", Form::OtSpanContext),
        Self::new("x-amzn-trace-id", Form::XRay),
        Self::REQUEST_ID,
        Self::REQUEST_CONTEXT,
    ];
}

/// What stands between commas, but for nothing.
fn members(value: &[u8]) -> Vec<&[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty()).collect()
}

/// Whether all `sent` members arrive, but for those that whoever wrote the first of the `arrived` ones has brought up to
/// date (<https://www.w3.org/TR/trace-context-2/#mutating-the-tracestate-field>).
fn have_arrived(sent: &[&[u8]], arrived: &[&[u8]]) -> bool {
    let key = |member: &[u8]| member.split(|&byte| byte == b'=').next().unwrap_or_default().to_vec();
    let updated = arrived.first().map(|member| key(member));
    let arrived: HashSet<&[u8]> = arrived.iter().copied().collect();
    sent.iter().all(|member| arrived.contains(member) || Some(key(member)) == updated)
}

/// An id of up to 32 hexadecimal digits, not all zero, without leading zeros: 64-bit ids are padded to 128 bits here and there.
fn id(digits: &[u8]) -> Option<Vec<u8>> {
    let is_id = digits.len() <= 32 && digits.iter().all(u8::is_ascii_hexdigit);
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count();
    digits.get(zeros..).filter(|digits| is_id && !digits.is_empty()).map(<[u8]>::to_ascii_lowercase)
}

/// Load balancers of AWS write a root alone, which names no span, and so no context that could go on; but a trace.
fn x_ray(value: &[u8]) -> Option<Vec<u8>> {
    let root = value.split(|&byte| byte == b';').find_map(|field| field.trim_ascii().strip_prefix(b"Root="))?;
    let mut parts = root.split(|&byte| byte == b'-');
    let (version, time, number) = (parts.next()?, parts.next()?, parts.next()?);
    let is_sound = version == b"1" && parts.next().is_none() && time.len() == 8 && number.len() == 24;
    id(&[time, number].concat()).filter(|_| is_sound)
}

/// The first node of a hierarchical id.
fn root(value: &[u8]) -> &[u8] {
    let value = value.strip_prefix(b"|").unwrap_or(value);
    value.split(|&byte| byte == b'.').next().unwrap_or_default()
}
