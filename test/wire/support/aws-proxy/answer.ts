/** What goes back over the wire. */
export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** An error as AWS words it. `status` is 400 unless it is said. */
export interface AwsError {
  readonly code: string;
  readonly message: string;
  readonly status?: number;
}

const EC2_NAMESPACE = 'http://ec2.amazonaws.com/doc/2016-11-15/';
const AUTO_SCALING_NAMESPACE = 'http://autoscaling.amazonaws.com/doc/2011-01-01/';
const REQUEST_ID = '00000000-0000-4000-8000-000000000000';

/** An error in the form that the service has, of which there are two. */
export function errorAnswer(service: string, { code, message, status = 400 }: AwsError): Answer {
  const said = `<Code>${escaped(code)}</Code><Message>${escaped(message)}</Message>`;
  const body =
    service === 'ec2'
      ? `<Response><Errors><Error>${said}</Error></Errors><RequestID>${REQUEST_ID}</RequestID></Response>`
      : `<ErrorResponse xmlns="${AUTO_SCALING_NAMESPACE}"><Error><Type>${status < 500 ? 'Sender' : 'Receiver'}</Type>` +
        `${said}</Error><RequestId>${REQUEST_ID}</RequestId></ErrorResponse>`;
  return xmlAnswer(status, body);
}

/** Success of an EC2 action. */
export function ec2Answer(action: string, result: Readonly<Record<string, unknown>>): Answer {
  const body =
    `<${action}Response xmlns="${EC2_NAMESPACE}"><requestId>${REQUEST_ID}</requestId>` +
    `${fields(result, 'item')}</${action}Response>`;
  return xmlAnswer(200, body);
}

/** Success of an Auto Scaling action. */
export function autoScalingAnswer(action: string, result: Readonly<Record<string, unknown>>): Answer {
  const body =
    `<${action}Response xmlns="${AUTO_SCALING_NAMESPACE}"><${action}Result>${fields(result, 'member')}` +
    `</${action}Result><ResponseMetadata><RequestId>${REQUEST_ID}</RequestId></ResponseMetadata></${action}Response>`;
  return xmlAnswer(200, body);
}

/** One element; `null` and `undefined` make none. A list has its values in elements called `listItem`. */
export function element(name: string, value: unknown, listItem: 'item' | 'member'): string {
  if (value === undefined || value === null) return '';
  return `<${name}>${content(value, listItem)}</${name}>`;
}

function content(value: unknown, listItem: 'item' | 'member'): string {
  if (Array.isArray(value)) return value.map((one: unknown) => element(listItem, one, listItem)).join('');
  if (value instanceof Date) return value.toISOString();
  return typeof value === 'object' && value !== null ? fields(value, listItem) : escaped(String(value));
}

function fields(value: object, listItem: 'item' | 'member'): string {
  return Object.entries(value)
    .map(([name, inner]) => element(name, inner, listItem))
    .join('');
}

function xmlAnswer(status: number, body: string): Answer {
  return { status, contentType: 'text/xml', body: `<?xml version="1.0" encoding="UTF-8"?>\n${body}` };
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

export function succeeded({ status }: Answer): boolean {
  return status < 300;
}
