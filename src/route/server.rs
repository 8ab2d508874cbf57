//! The part of the request path that leads to plugnmeet-server: what is looked at on the way there, and on the way back.
//!
//! Here a line for each step and endpoint; the steps themselves are in `kinds` (may this token be used here?), `sessions`
//! (tokens that pass by) and `crate::issue` (tokens that are issued, people who are removed).

use hyper::{Request, Response, StatusCode};

use super::{Router, format, nowhere, path_and_query, sessions::Asked};
use crate::{
    client_body::ClientBody,
    proxy::{About, Watch},
    reply::{Body, Failure},
    token::Kind,
};

/// What the server itself may answer to an upload, and the uploader would try again a hundred times at once
/// (docs/plugnmeet.md section 5). A 400 is final.
const TRIED_AGAIN: [StatusCode; 3] = [
    StatusCode::PAYLOAD_TOO_LARGE,
    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    StatusCode::SERVICE_UNAVAILABLE,
];

impl Router {
    pub(super) async fn lti(
        &self,
        request: Request<ClientBody>,
        asked: Asked,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        let response = self.to_server(request, about, None).await?;
        self.without_tokens(asked, response).await
    }

    pub(super) async fn lti_join(
        &self,
        request: Request<ClientBody>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        self.takes(Kind::Lti, &request)?;
        self.issue.lti_join(request, about).await
    }

    pub(super) async fn lti_api(
        &self,
        request: Request<ClientBody>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        let watch = self.takes_in_form(Kind::Lti, &request)?;
        self.to_server(request, about, watch).await
    }

    pub(super) async fn breakout_join(
        &self,
        request: Request<ClientBody>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        self.takes(Kind::Join, &request)?;
        let carried = self.handoff.carried(request.headers(), &about.host);
        let response = self.issue.breakout_join(request, about).await?;
        Ok(self.refreshed(carried, response))
    }

    pub(super) async fn remove_participant(
        &self,
        request: Request<ClientBody>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        self.takes(Kind::Join, &request)?;
        let carried = self.handoff.carried(request.headers(), &about.host);
        let response = self.issue.remove_participant(request, about).await?;
        Ok(self.refreshed(carried, response))
    }

    pub(super) async fn api(
        &self,
        request: Request<ClientBody>,
        about: &About,
    ) -> Result<Response<Body>, Failure> {
        let watch = self.takes_in_form(Kind::Join, &request)?;
        let carried = self.handoff.carried(request.headers(), &about.host);
        let is_upload = format::is_upload(request.uri().path());
        let mut response = self.to_server(request, about, watch).await?;
        if is_upload && TRIED_AGAIN.contains(&response.status()) {
            *response.status_mut() = StatusCode::BAD_REQUEST;
        }
        Ok(self.refreshed(carried, response))
    }

    /// To the server, in the bytes in which it came. In a box, as it is large, and what waits for it is moved more than
    /// once.
    pub(super) async fn to_server(
        &self,
        request: Request<ClientBody>,
        about: &About,
        watch: Option<Watch>,
    ) -> Result<Response<Body>, Failure> {
        let unchanged = path_and_query(request.uri())?;
        let server = self.upstreams.server.as_ref().ok_or_else(nowhere)?;
        Ok(Box::pin(server.forward_watched(request, unchanged, about, watch)).await?)
    }
}
